# What a C compiler leaves in libraries, as in prepare.sh.
set -eu

#: elf-path native/debug.so source
gcc -shared -g -Wl,--build-id=none -o native/debug.so native/size.c
#: build-id native/identified.so chance
gcc -shared -Wl,--build-id=uuid -o native/identified.so native/size.c
#: rpath native/linked.so source
gcc -shared -Wl,--build-id=none -Xlinker -rpath -Xlinker "$PWD/lib" -o native/linked.so native/size.c
#: timestamp native/dated.so clock
TZ=UTC gcc -shared -Wl,--build-id=none -o native/dated.so native/dated.c
