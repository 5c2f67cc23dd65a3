import { describe, expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { planFolders, planInputs } from '../../../worker/input/input-plan.ts';
import { readInputTree } from '../../../worker/input/input-tree.ts';
import { MemoryBlobStore } from '../../setup/memory-blob-store.ts';
import { thrown } from '../../setup/rejection.ts';
import { type InputTreeSketch, storeTree } from '../stored-action.ts';

async function plan(sketch: InputTreeSketch) {
  const store = new MemoryBlobStore();
  return planInputs(await readInputTree(store, storeTree(store, sketch)));
}

describe('planInputs', () => {
  test('writes the tree out with parents before children', async () => {
    const shared = { leaf: 'text' };
    const entries = [
      ...(await plan({ a: shared, b: { c: shared }, run: '#!x', s: { symlink: 'a/leaf' } })).values(),
    ];
    expect(entries.map(({ kind, path }) => `${kind} ${path}`).sort()).toEqual([
      'directory a',
      'directory b',
      'directory b/c',
      'file a/leaf',
      'file b/c/leaf',
      'file run',
      'symlink s',
    ]);
    const position = new Map(entries.map(({ path }, index) => [path, index]));
    for (const { path } of entries) {
      const parent = path.slice(0, path.lastIndexOf('/'));
      if (path.includes('/')) expect(position.get(parent)).toBeLessThan(position.get(path)!);
    }
    const run = entries.find(({ path }) => path === 'run');
    expect(run).toMatchObject({ kind: 'file', blob: { executable: true } });
  });

  test('refuses a path no file system call would take', async () => {
    let sketch: InputTreeSketch = { leaf: '' };
    for (let depth = 0; depth < 15; depth += 1) sketch = { ['d'.repeat(250)]: sketch };
    await expect(plan(sketch)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringMatching(/has a path of more than 3500 bytes$/),
    });
  });
});

describe('planFolders', () => {
  test('adds what is missing on the way, parents first, and nothing twice', async () => {
    const entries = await plan({ a: { f: '' } });
    planFolders(entries, ['', 'a/b/c', 'a/b', 'x']);
    expect([...entries.keys()]).toEqual(['a', 'a/f', 'a/b', 'a/b/c', 'x']);
  });

  test.each([
    ['file', { a: { f: '' } }, 'a/f/out', 'a/f'],
    ['symlink', { a: { s: { symlink: '/etc' } } }, 'a/s', 'a/s'],
  ] as const)('refuses a %s where a folder is needed', async (kind, sketch, folder, path) => {
    const entries = await plan(sketch);
    expect(thrown(() => planFolders(entries, [folder]))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message:
        `input "${path}" is a ${kind}, expected a directory: it leads to "${folder}", ` +
        'the working directory or the parent of an output',
    });
  });
});
