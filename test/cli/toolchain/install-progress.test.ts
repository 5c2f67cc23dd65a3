import { expect, it } from 'vitest';
import { InstallProgress } from '../../../cli/toolchain/install-progress.ts';
import { recordingPrinter } from './recording-printer.ts';

it('shows each step once, and the bytes of the download', () => {
  const printer = recordingPrinter();
  const progress = new InstallProgress(printer, 'CUDA 13.5');
  const totalBytes = 4 * 1024 ** 2;
  progress.show({ step: 'download', doneBytes: 0, totalBytes });
  progress.show({ step: 'download', doneBytes: totalBytes / 2, totalBytes });
  progress.show({ step: 'unpack', wheels: 5, bytes: totalBytes });
  progress.show({ step: 'try' });
  progress.show({ step: 'identify' });
  progress.done();
  progress.done();
  expect(printer.progresses).toEqual([
    'download CUDA 13.5 0/4194304 0 B of 4.0 MiB',
    'download CUDA 13.5 2097152/4194304 2.0 MiB of 4.0 MiB',
    'download CUDA 13.5: done',
    'unpack 5 wheels, 4.0 MiB: done',
    'compile and link with it: done',
    'hash its files: done',
  ]);
});

it('shows bytes alone where the total is not known, and how it failed', () => {
  const printer = recordingPrinter();
  const progress = new InstallProgress(printer, 'CUDA 13.0');
  progress.show({ step: 'download', doneBytes: 512, totalBytes: undefined });
  progress.fail('nothing was added');
  expect(printer.progresses).toEqual([
    'download CUDA 13.0 512/undefined 512 B',
    'download CUDA 13.0: failed: nothing was added',
  ]);
});
