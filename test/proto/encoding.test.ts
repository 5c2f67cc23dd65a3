import { readFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import { type DescriptorProto, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { ActionResult, Command } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

const descriptors = fromBinary(
  FileDescriptorSetSchema,
  readFileSync(new URL('../../proto/gen/descriptors.binpb', import.meta.url)),
);

function* messages(nested: readonly DescriptorProto[], prefix: string): Generator<[string, DescriptorProto]> {
  for (const message of nested) {
    yield [`${prefix}.${message.name}`, message];
    yield* messages(message.nestedType, `${prefix}.${message.name}`);
  }
}

describe('the definitions', () => {
  // ts-proto encodes in the order of declaration; digests of messages need the order of field numbers.
  it('declare the fields of every message in the order of their numbers', () => {
    const unordered: string[] = [];
    for (const file of descriptors.file.filter(({ name }) => !name.startsWith('google/protobuf/'))) {
      for (const [name, message] of messages(file.messageType, file.package)) {
        const numbers = message.field.map(({ number }) => number);
        if (numbers.some((number, index) => index > 0 && number <= (numbers[index - 1] ?? 0)))
          unordered.push(name);
      }
    }
    expect(unordered).toEqual([]);
  });

  it('hold the four REAPI services, ByteStream, Operations, health, reflection and our own', () => {
    const services = descriptors.file.flatMap((f) => f.service.map((s) => `${f.package}.${s.name}`)).sort();
    expect(services).toEqual([
      'build.bazel.remote.execution.v2.ActionCache',
      'build.bazel.remote.execution.v2.Capabilities',
      'build.bazel.remote.execution.v2.ContentAddressableStorage',
      'build.bazel.remote.execution.v2.Execution',
      'google.bytestream.ByteStream',
      'google.longrunning.Operations',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'ingot.v1.Farm',
    ]);
  });
});

describe('generated codecs', () => {
  it('write the bytes protoc writes for a Command', () => {
    const bytes = Command.encode(
      Command.fromPartial({
        arguments: ['a'],
        outputPaths: ['o'],
        workingDirectory: 'w',
        outputNodeProperties: ['p'],
      }),
    ).finish();
    // 1: "a", 6: "w", 7: "o", 8: "p"
    expect(Buffer.from(bytes).toString('hex')).toBe('0a01613201773a016f420170');
  });

  it('keep unknown enum values and skip unknown fields', () => {
    const bytes = Buffer.from('20051a00fa3f0161', 'hex'); // 4: exit_code 5, 3: an empty directory, 1023: unknown
    expect(ActionResult.decode(bytes)).toMatchObject({ exitCode: 5, outputDirectories: [{ path: '' }] });
  });
});
