import { expect, test } from 'vitest';
import { defaultWorkerId } from '../../worker/worker-identity.ts';

test('is one word of a bus subject, the same each time, and another in another folder', () => {
  const id = defaultWorkerId('gpu.example.com', '/data/worker');
  expect(id).toMatch(/^gpu-example-com-[0-9a-f]{6}$/);
  expect(defaultWorkerId('gpu.example.com', '/data/worker')).toBe(id);
  expect(defaultWorkerId('gpu.example.com', '/other/worker')).not.toBe(id);
  expect(defaultWorkerId('...', '/data')).toMatch(/^worker-[0-9a-f]{6}$/);
});
