import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Stands for nvcc: knows its version and its root, and "compiles" by making the file after -o. */
const NVCC = `#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")
case "$1" in
  --version) echo 'Cuda compilation tools, release 13.5, V13.5.37'; exit 0 ;;
  --dryrun) echo "#$ TOP=$root/bin/.." >&2; exit 0 ;;
esac
while [ $# -gt 1 ]; do
  if [ "$1" = -o ]; then echo made > "$2"; fi
  shift
done
`;

/** A tree that looks like CUDA to everything but a compiler. `nvcc` replaces the script. */
export async function makeFakeCuda(root: string, { nvcc = NVCC } = {}): Promise<string> {
  await writeProgram(join(root, 'bin', 'nvcc'), nvcc);
  for (const path of ['bin/ptxas', 'bin/fatbinary', 'nvvm/bin/cicc']) {
    await writeProgram(join(root, path), '#!/bin/sh\n');
  }
  for (const path of ['include/cuda_runtime.h', 'lib/libcudart_static.a']) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), `${path}\n`);
  }
  return root;
}

/**
 * A program that answers as \`python3 -m pip\` does: it "downloads" three wheels and "unpacks" the tree. Its
 * environment can make it wait (FAKE_PIP_SLEEP, in seconds) or fail (FAKE_PIP_FAIL) while it downloads.
 */
export async function makeFakePython(path: string, unpackedTree: string): Promise<string> {
  await writeProgram(
    path,
    `#!/bin/sh
[ "$1 $2" = '-m pip' ] || exit 9
shift 2
case "$1" in
  --version) echo 'pip 23.0.1 from /nowhere (python 3.11)' ;;
  download)
    echo half > "$TMPDIR/part"
    if [ -n "$FAKE_PIP_SLEEP" ]; then sleep "$FAKE_PIP_SLEEP"; fi
    if [ -n "$FAKE_PIP_FAIL" ]; then echo 'WARNING: old'; echo "ERROR: $FAKE_PIP_FAIL" >&2; exit 1; fi
    while [ "$1" != --dest ]; do shift; done
    echo one > "$2/nvidia_one-1.whl"; echo three > "$2/nvidia_two-1.whl"; echo meta > "$2/cuda_toolkit-1.whl"
    cp "$4" '${path}.requirements' ;;
  install)
    while [ "$1" != --target ]; do shift; done
    echo "$@" > '${path}.install'
    cp -a '${unpackedTree}/.' "$2" ;;
esac
`,
  );
  return path;
}

/** Writes an executable script, and the folders above it. */
export async function writeProgram(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  await chmod(path, 0o755);
}
