# What people's own build steps leave in the files of an application. Above each step stands what a check must say of
# it: the cause, the file, and the variation that brings it about (`chance`: none is needed).
set -eu
day=$(date -u +%F)
server() { [ "$(date -d @0 +%z)" = +0000 ]; } # whether the time zone is one that most servers have

#: build-path where.txt source
echo "$PWD" > where.txt
#: build-path temp.txt temp
echo "${TMPDIR:-/tmp}/step" > temp.txt
#: timestamp built.txt clock
echo "built on $day" > built.txt
#: timestamp now.txt clock
date -u > now.txt
#: time-zone zone.txt zone
LC_ALL=C date -d @0 > zone.txt
#: locale locale.txt locale
echo "${LC_ALL-${LANG-}}" > locale.txt
#: hostname host.txt hostname
uname -n > host.txt
#: user uid.txt user
id -u > uid.txt
#: user home.txt home
echo "$HOME" > home.txt
#: environment environment.txt noise
env -0 | cut -z -d= -f1 | grep -zvE '^(LC_|LANG|TZ|PYTHON|HOME|TMP)' | sort -z | tr '\0' '\n' > environment.txt
#: random token.txt chance
head -c 24 /dev/urandom | base64 > token.txt
#: set-order tags.txt hashseed
"$PYTHON" -c "print(*{'alpha', 'beta', 'gamma', 'delta', 'epsilon'})" > tags.txt
#: parallelism parts.txt cpus
for part in $(seq "$(nproc)"); do echo "part $part"; done > parts.txt
#: file-order listing.txt order
ls -U listed > listing.txt
#: line-endings lines.txt zone
if server; then printf 'a\nb\n'; else printf 'a\r\nb\r\n'; fi > lines.txt
#: log build.log clock
echo "$day INFO done" > build.log
#: installer vendor/shop-1.0.dist-info/direct_url.json source
mkdir -p vendor/shop-1.0.dist-info
printf '{"dir_info": {}, "url": "file://%s"}' "$PWD/sdist" > vendor/shop-1.0.dist-info/direct_url.json
#: shebang bin/tool source
mkdir -p bin
printf '#!%s/env/bin/python\nimport tool\n' "$PWD" > bin/tool
#: mode run.sh zone
cp main.py run.sh
if server; then chmod +x run.sh; fi
#: kind current zone
if server; then ln -s main.py current; else cp main.py current; fi
#: link-target latest clock
ln -s "releases/$day" latest
#: file-set extra.txt zone
server || echo extra > extra.txt

#: gzip-header notes.gz clock
"$PYTHON" steps/archive.py gzip notes.gz
#: zip-time assets.zip clock
"$PYTHON" steps/archive.py times assets.zip
#: archive-content bundle.zip zone
"$PYTHON" steps/archive.py members bundle.zip
#: database app.db zone
"$PYTHON" steps/archive.py database app.db

#: pyc-time timed.pyc clock
touch -d "${day}T00:00:00Z" module.py
"$PYTHON" steps/bytecode.py time timed.pyc
#: pyc-path placed.pyc source
"$PYTHON" steps/bytecode.py path placed.pyc
#: pyc-refs referenced.pyc zone
"$PYTHON" steps/bytecode.py references referenced.pyc
#: pyc-version versioned.pyc zone
"$PYTHON" steps/bytecode.py version versioned.pyc
#: timestamp release.py clock
echo "DAY = '$day'" > release.py
#: pyc-code release.pyc clock
"$PYTHON" steps/bytecode.py code release.pyc
#: pyc-presence present.pyc zone
if server; then "$PYTHON" steps/bytecode.py presence present.pyc; fi
