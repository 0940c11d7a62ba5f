# Cross toolchain: Debian's aarch64 compiler with its own C library, our libraries out of
# build/arm64-sysroot (made by configs/cmake/arm64_sysroot.sh), programs run by qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc-12)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++-12)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

get_filename_component(tenon_root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
set(tenon_sysroot ${tenon_root}/build/arm64-sysroot)
if(NOT EXISTS ${tenon_sysroot}/complete)
  message(FATAL_ERROR "No arm64 libraries in ${tenon_sysroot}; run configs/cmake/arm64_sysroot.sh first.")
endif()
set(CMAKE_FIND_ROOT_PATH ${tenon_sysroot})
# Headers that differ from processor to processor, such as OpenSSL's configuration.
set(CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES ${tenon_sysroot}/usr/include/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR}
    ${tenon_sysroot}/usr/lib/aarch64-linux-gnu/pkgconfig:${tenon_sysroot}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${tenon_sysroot})

# What our libraries need in their turn, when a program is linked and, by an rpath that they inherit,
# when it starts.
set(tenon_libraries ${tenon_sysroot}/usr/lib/aarch64-linux-gnu ${tenon_sysroot}/lib/aarch64-linux-gnu)
list(JOIN tenon_libraries : tenon_library_path)
set(CMAKE_BUILD_RPATH ${tenon_libraries})
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,--disable-new-dtags,-rpath-link,${tenon_library_path}")

# -L: where the aarch64 dynamic linker and C library are; ours are found through the build rpath.
# TENON_QEMU_CPU=neoverse-n1 (at configure time) tests the dispatch on a processor without SVE.
set(tenon_qemu_cpu max)
if(DEFINED ENV{TENON_QEMU_CPU})
  set(tenon_qemu_cpu $ENV{TENON_QEMU_CPU})
endif()
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-cpu;${tenon_qemu_cpu};-L;/usr/aarch64-linux-gnu)
