import { expect, test } from 'vitest';
import { parseNvidiaSmi } from '../../../worker/inventory/nvidia-smi.ts';

test('reads each device, and one it cannot read as unhealthy', () => {
  const csv = [
    'GPU-1111, NVIDIA H100 80GB HBM3, 9.0, 81559, 00000000:65:00.0',
    'GPU-2222, NVIDIA Broken, [N/A], [Unknown Error], 00000000:66:00.0',
    '',
  ].join('\n');
  expect(parseNvidiaSmi(csv)).toEqual([
    {
      device: {
        id: 'GPU-1111',
        arch: 'sm_90',
        memoryBytes: 81559 * 1024 * 1024,
        model: 'NVIDIA H100 80GB HBM3',
        unhealthyReason: '',
      },
      busId: '00000000:65:00.0',
    },
    {
      device: {
        id: 'GPU-2222',
        arch: '',
        memoryBytes: 0,
        model: 'NVIDIA Broken',
        unhealthyReason:
          'nvidia-smi says "GPU-2222, NVIDIA Broken, [N/A], [Unknown Error], 00000000:66:00.0"',
      },
      busId: '00000000:66:00.0',
    },
  ]);
});

test('two-digit minor versions of ten and more keep their digits', () => {
  expect(parseNvidiaSmi('GPU-3, B200, 10.0, 1, x')[0]?.device.arch).toBe('sm_100');
});
