import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cppDemoProject, cudaDemoProject } from '../../../cli/demo/demo-project.ts';
import { demoTable } from '../../../cli/demo/demo-table.ts';

describe.each([
  ['CUDA', cudaDemoProject(), 9],
  ['C++', cppDemoProject(), 3],
])('the %s project', (_name, project, objectCount) => {
  it('names files that are there', () => {
    expect(readdirSync(project.folder)).toEqual(
      expect.arrayContaining([...new Set(project.objects.flatMap(({ inputs }) => inputs)), 'main.cpp']),
    );
    expect(project.objects).toHaveLength(objectCount);
  });

  it('gives every object the headers its source includes, and no others', () => {
    for (const { inputs, commandLine } of project.objects) {
      const source = commandLine.find((word) => /\.(cu|cpp)$/.test(word)) ?? '';
      const text = readFileSync(join(project.folder, source), 'utf8');
      const included = [...text.matchAll(/#include "([^"]+)"/g)].map(([, name]) => name);
      expect(inputs).toEqual([source, ...included]);
    }
  });

  it('links every object', () => {
    const objects = project.objects.map(({ output }) => output);
    expect(project.link.inputs).toEqual(['main.cpp', ...objects]);
    expect(project.link.commandLine).toEqual(expect.arrayContaining(objects));
    expect(new Set(objects).size).toBe(objectCount);
  });
});

describe('demoTable', () => {
  it('shows stage, worker and time of each action', () => {
    const [first, second, third] = cppDemoProject().objects;
    if (first === undefined || second === undefined || third === undefined)
      throw new Error('three objects expected');
    const lines = demoTable(
      [
        { action: first, stage: 'ran', worker: 'w1', startedMs: 0, endedMs: 1500 },
        { action: second, stage: 'executing', worker: 'w2', startedMs: 1000, endedMs: undefined },
        { action: third, stage: 'waiting', worker: '', startedMs: 0, endedMs: undefined },
      ],
      3000,
    );
    expect(lines).toEqual([
      '  ACTION  STAGE      WORKER  TIME',
      '  saxpy   ran        w1      1.50 s',
      '  reduce  executing  w2      2.00 s',
      '  matmul  waiting',
    ]);
  });
});
