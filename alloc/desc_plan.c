#include <quire/desc_plan.h>
