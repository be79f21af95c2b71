# What a C compiler leaves in libraries, as in prepare.sh.
set -eu
server() { [ "$(date -d @0 +%z)" = +0000 ]; }

#: elf-path native/debug.so source
gcc -shared -g -Wl,--build-id=none -o native/debug.so native/size.c
#: build-id native/identified.so chance
gcc -shared -Wl,--build-id=uuid -o native/identified.so native/size.c
#: rpath native/linked.so source
gcc -shared -Wl,-rpath,"$PWD/lib",--build-id=none -o native/linked.so native/size.c
#: elf-code native/tuned.so zone
gcc -shared -Wl,--build-id=none -DSIZE=$(server && echo 8 || echo 9) -o native/tuned.so native/size.c
#: timestamp native/dated.so clock
gcc -shared -Wl,--build-id=none -o native/dated.so native/dated.c
