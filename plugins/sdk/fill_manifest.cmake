# Writes plugin.yaml beside a linked plugin, from its template: @ID@ @KIND@ @ARCH@ @FILE@ @SHA256@
# @ABI_REVISION@ @ABI_FINGERPRINT@. Run by tenon_plugin() after each link:
#   cmake -DPLUGIN=x.so -DTEMPLATE=plugin.yaml.in -DABI=abi.h -DID=x -DKIND=backend -DARCH=x86_64 -P
file(SHA256 ${PLUGIN} SHA256)
get_filename_component(FILE ${PLUGIN} NAME)
get_filename_component(folder ${PLUGIN} DIRECTORY)
file(STRINGS ${ABI} numbers REGEX "^#define TENON_ABI_(REVISION|FINGERPRINT) ")
string(REGEX MATCH "REVISION ([0-9]+)" _ "${numbers}")
set(ABI_REVISION ${CMAKE_MATCH_1})
string(REGEX MATCH "FINGERPRINT 0x([0-9a-f]+)" _ "${numbers}")
set(ABI_FINGERPRINT ${CMAKE_MATCH_1})
if(NOT ABI_REVISION OR NOT ABI_FINGERPRINT)
  message(FATAL_ERROR "${ABI} defines no TENON_ABI_REVISION or TENON_ABI_FINGERPRINT.")
endif()
configure_file(${TEMPLATE} ${folder}/plugin.yaml @ONLY)
