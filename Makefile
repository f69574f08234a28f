# For people who expect a Makefile. What it does is done by `cargo xtask`.
#
#   make                   build the library
#   make install           install it: PREFIX=/usr/local LIBDIR= DESTDIR=
#   make uninstall         remove it, with the same variables
#   make check             run all tests
#   make clean             remove what was built

PREFIX     = /usr/local
LIBDIR     = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
DESTDIR    =
CARGO      = cargo

# `make install` runs what `make` built, so that it needs no cargo: under sudo
# there often is none.
target = $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
xtask  = $(target)/debug/xtask

where = --prefix '$(PREFIX)' --libdir '$(LIBDIR)' \
        --includedir '$(INCLUDEDIR)' $(if $(DESTDIR),--destdir '$(DESTDIR)')

all:
	$(CARGO) xtask build

$(xtask) $(target)/release/libcors.so $(target)/release/libcors.a:
	$(CARGO) xtask build

install: $(xtask) $(target)/release/libcors.so $(target)/release/libcors.a
	$(xtask) install $(where)

uninstall: $(xtask)
	$(xtask) install --uninstall $(where)

check:
	$(CARGO) xtask test

clean:
	$(CARGO) clean

.PHONY: all install uninstall check clean
