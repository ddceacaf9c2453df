#include <quire/region.h>
