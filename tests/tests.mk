# Targets that check; included by the Makefile.

## make deps       install what is missing (Debian); make deps-list prints the packages
deps:
	@tests/support/deps.sh install
deps-list:
	@tests/support/deps.sh list
