import type { Finding } from './finding.ts';

/** The oldest Node that runs TypeScript as it is and has what the code uses. */
const NODE_MAJOR_MIN = 24;

/** Whether the Node that runs this is new enough. */
export function checkNode(version: string): Finding {
  const check = 'node';
  if (Number(version.split('.')[0]) >= NODE_MAJOR_MIN)
    return { check, status: 'ok', detail: `Node ${version}` };
  return {
    check,
    status: 'missing',
    detail: `Node ${version}, expected ${NODE_MAJOR_MIN} or newer`,
    fix: 'npm ci (it brings the right Node), then npx ingot',
  };
}
