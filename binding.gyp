# What node-gyp builds, into build/Release:
#   libwasm_aot.so  the runtime: C and assembly, no Node in it; C programs link it too
#   addon.node      the loader's way into the runtime
#   codegen.node    the compiler's way into LLVM 22; only where llvm-22-dev is installed
{
  'variables': {
    # The empty string where LLVM 22 is not installed.
    'llvm_config%': '<!(node .ci/native.mjs --llvm-config)',
  },
  'target_defaults': {
    'cflags!': ['-O3', '-Wno-unused-parameter'],
    'cflags': ['-O2', '-g', '-fvisibility=hidden', '-Wall', '-Wextra'],
    'cflags_c': ['-std=gnu11'],
    'defines': ['NAPI_VERSION=8'],
    'default_configuration': 'Release',
    # macOS: gyp takes the switches from here; those above are for the other systems. Not run: see README.md.
    'xcode_settings': {
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'GCC_C_LANGUAGE_STANDARD': 'gnu11',
      'GCC_OPTIMIZATION_LEVEL': '2',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'OTHER_CFLAGS': ['-Wall', '-Wextra'],
      'LD_RUNPATH_SEARCH_PATHS': ['@loader_path'],
      'DYLIB_INSTALL_NAME_BASE': '@rpath',
    },
  },
  'targets': [
    {
      'target_name': 'wasm_aot',
      'type': 'shared_library',
      'product_prefix': 'lib', # gives libwasm_aot.so, as file name and soname
      'product_dir': '<(PRODUCT_DIR)',
      'sources': ['<!@(node .ci/native.mjs --sources runtime-c "^(?!addon).*[.][cS]$")'],
      'include_dirs': ['runtime-c', 'runtime-c/include'],
      # Unwinding goes through runtime frames; the tick handler reads its thread-local record, which must not be allocated on first use.
      'cflags': ['-fexceptions', '-fasynchronous-unwind-tables', '-ftls-model=initial-exec', '-pthread'],
      # The checker thread and the signal handlers outlive any dlclose.
      'ldflags': ['-pthread', '-Wl,-z,nodelete', '-Wl,--no-undefined', '-Wl,-z,now', '-Wl,-z,relro', '-Wl,-z,noexecstack'],
      'conditions': [['OS=="mac"', { 'xcode_settings': { 'OTHER_CFLAGS': ['-fexceptions', '-fasynchronous-unwind-tables'] } }, { 'libraries': ['-ldl'] }]],
    },
    {
      'target_name': 'addon',
      'dependencies': ['wasm_aot'],
      'sources': ['<!@(node .ci/native.mjs --sources runtime-c "^(addon.*|sha256)[.]c$")'],
      'include_dirs': ['runtime-c', 'runtime-c/include'],
      # An addon that only a worker loaded is unloaded when the worker ends; its code may still be on a stack.
      'ldflags': ['-Wl,-z,nodelete', "-Wl,-rpath,'$$ORIGIN'"],
    },
  ],
  'conditions': [
    ['llvm_config!=""', {
      'targets': [
        {
          'target_name': 'codegen',
          'sources': ['<!@(node .ci/native.mjs --sources compiler/llvm/codegen "[.]cc?$")'],
          'cflags': ['-isystem', '<!(<(llvm_config) --includedir)', '-pthread'],
          # LLVM is built without RTTI; its headers want these.
          'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-frtti', '-fexceptions'],
          'cflags_cc': ['-std=c++17', '-fno-rtti', '-fno-exceptions', '-D_GNU_SOURCE', '-D__STDC_CONSTANT_MACROS', '-D__STDC_FORMAT_MACROS', '-D__STDC_LIMIT_MACROS'],
          'ldflags': ['-Wl,-z,nodelete', '-pthread'],
          'libraries': ['-L<!(<(llvm_config) --libdir)', '-lLLVM-22'],
        },
      ],
    }],
  ],
}
