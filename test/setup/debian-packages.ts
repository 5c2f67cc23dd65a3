import type { SystemPackage } from '../../cli/doctor/system-package.ts';

/** All that the tests need of Debian 12 beside what Node's packages bring. */
export const debianPackages: readonly SystemPackage[] = [
  { name: 'bubblewrap', gives: 'bwrap', use: 'the sandbox' },
  { name: 'util-linux', gives: 'setpriv', use: 'actions under a user of their own' },
  { name: 'nats-server', gives: 'nats-server', use: 'the message bus, and farms of several processes' },
  { name: 'g++', gives: 'g++', use: 'C++ actions, and the host side of CUDA' },
  { name: 'bazel-bootstrap', gives: 'bazel', use: 'a real Bazel against the farm' },
  { name: 'bazel-rules-java', gives: '/usr/share/bazel/rules/java', use: 'a real Bazel against the farm' },
  { name: 'bazel-rules-proto', gives: '/usr/share/bazel/rules/proto', use: 'a real Bazel against the farm' },
  { name: 'ccache', gives: 'ccache', use: 'the HTTP cache' },
  { name: 'iproute2', gives: 'ip', use: 'a network that drops packets' },
  { name: 'zstd', gives: 'zstd', use: 'frames made and read by another program' },
  { name: 'docker-compose', gives: 'docker-compose', use: 'the check of docker-compose.yml' },
];
