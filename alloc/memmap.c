#include <quire/memmap.h>
