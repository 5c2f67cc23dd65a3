import { describe, expect, it } from 'vitest';
import { reportFindings } from '../../../cli/doctor/doctor.ts';
import { examineMachine } from '../../../cli/doctor/examine-machine.ts';
import { runProgram } from '../../../cli/toolchain/run-program.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { recordingPrinter } from '../toolchain/recording-printer.ts';

describe('reportFindings', () => {
  it('marks each finding, shows its fix, and ends with 1 when something must be mended', () => {
    const printer = recordingPrinter();
    const findings = [
      { check: 'node', status: 'ok', detail: 'Node 24' },
      { check: 'gpu', status: 'note', detail: 'none' },
      { check: 'bubblewrap', status: 'missing', detail: 'not installed', fix: 'install it' },
    ] as const;
    expect(reportFindings(findings, printer)).toBe(1);
    expect(printer.lines).toEqual([
      '✔ node: Node 24',
      '– gpu: none',
      '✘ bubblewrap: not installed',
      '    install it',
      'to be mended first: bubblewrap',
    ]);
    expect(printer.results).toEqual([{ ready: false, findings }]);
  });

  it('ends with 0 when there are only notes', () => {
    const printer = recordingPrinter();
    const findings = [{ check: 'gpu', status: 'note', detail: 'none' }] as const;
    expect(reportFindings(findings, printer)).toBe(0);
    expect(printer.lines).toEqual(['– gpu: none', 'a farm can run here']);
    expect(printer.results).toEqual([{ ready: true, findings }]);
  });
});

describe('examineMachine', () => {
  it('looks at all there is on a real machine without failing', async () => {
    await using folder = await tempFolder();
    const host = { environment: process.env, runProgram, uid: process.getuid?.() };
    const findings = await examineMachine(host, { dataFolder: folder.path, nodeVersion: '24.0.0' });
    const checks = new Set(findings.map(({ check }) => check));
    for (const check of [
      'node',
      'user',
      'bubblewrap',
      'cgroups',
      'disk',
      'open files',
      'port 8980',
      'port 8981',
    ]) {
      expect(checks).toContain(check);
    }
    for (const check of ['nats-server', 'g++', 'cuda', 'pip', 'gpu']) expect(checks).toContain(check);
  });
});
