#ifndef SIZE
#define SIZE 4
#endif
int size(int n) { return n * SIZE; }
