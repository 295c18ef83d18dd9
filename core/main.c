/* neap: everything is in core/cli. */
#include "core/cli/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
