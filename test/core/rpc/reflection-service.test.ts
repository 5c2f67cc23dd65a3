import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { addReflection } from '../../../core/rpc/reflection-service.ts';
import {
  ServerReflectionDefinition,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../../../proto/gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionDefinition as V1alphaDefinition } from '../../../proto/gen/grpc/reflection/v1alpha/reflection.ts';
import { startEcho } from '../../setup/rpc.ts';

type Question = ServerReflectionRequest['messageRequest'];

async function reflect(...questions: Question[]): Promise<ServerReflectionResponse['messageResponse'][]> {
  await using echo = await startEcho();
  await addReflection(echo.server);
  async function* requests() {
    for (const messageRequest of questions) yield { host: '', messageRequest };
  }
  const answers: ServerReflectionResponse['messageResponse'][] = [];
  const client = echo.channel.client(ServerReflectionDefinition);
  for await (const { messageResponse } of client.serverReflectionInfo(requests()))
    answers.push(messageResponse);
  return answers;
}

function fileNames(answer: ServerReflectionResponse['messageResponse']): string[] {
  if (answer?.$case !== 'fileDescriptorResponse') throw new Error(`expected files, got ${answer?.$case}`);
  return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

describe('ReflectionService', () => {
  it('lists the services of the server', async () => {
    const [answer] = await reflect({ $case: 'listServices', value: '*' });
    expect(answer).toEqual({
      $case: 'listServicesResponse',
      value: {
        service: [
          { name: 'grpc.health.v1.Health' },
          { name: 'ingot.test.Echo' },
          { name: 'grpc.reflection.v1.ServerReflection' },
          { name: 'grpc.reflection.v1alpha.ServerReflection' },
        ],
      },
    });
  });

  it.each([
    'google.bytestream.ByteStream',
    'google.bytestream.ByteStream.Read',
    'google.bytestream.WriteRequest',
  ])('gives the file that declares %s', async (value) => {
    const [answer] = await reflect({ $case: 'fileContainingSymbol', value });
    expect(fileNames(answer)).toEqual(['google/bytestream/bytestream.proto']);
  });

  it('gives nested messages and enums, with all that the file imports', async () => {
    const [answer] = await reflect({
      $case: 'fileContainingSymbol',
      value: 'build.bazel.remote.execution.v2.ExecutionStage.Value',
    });
    const names = fileNames(answer);
    expect(names[0]).toBe('build/bazel/remote/execution/v2/remote_execution.proto');
    expect(names).toContain('google/longrunning/operations.proto');
    expect(names).toContain('google/protobuf/any.proto');
    expect(new Set(names).size).toBe(names.length);
  });

  it('leaves out imports that were sent before', async () => {
    const answers = await reflect(
      { $case: 'fileByFilename', value: 'google/rpc/status.proto' },
      { $case: 'fileByFilename', value: 'google/longrunning/operations.proto' },
      { $case: 'fileByFilename', value: 'google/rpc/status.proto' },
    );
    expect(fileNames(answers[0])).toEqual(['google/rpc/status.proto', 'google/protobuf/any.proto']);
    expect(fileNames(answers[1])).not.toContain('google/protobuf/any.proto');
    expect(fileNames(answers[2])).toEqual(['google/rpc/status.proto']);
  });

  it('answers what it does not know with an error, and goes on', async () => {
    const answers = await reflect(
      { $case: 'fileByFilename', value: 'no/such.proto' },
      { $case: 'fileContainingSymbol', value: 'no.Such' },
      { $case: 'fileContainingExtension', value: { containingType: 'no.Such', extensionNumber: 5 } },
      { $case: 'allExtensionNumbersOfType', value: 'no.Such' },
      { $case: 'allExtensionNumbersOfType', value: 'google.rpc.Status' },
      undefined,
    );
    const missing = (what: string) => ({
      $case: 'errorResponse',
      value: { errorCode: 5, errorMessage: `Reflect: there is no ${what} here` },
    });
    expect(answers).toEqual([
      missing('no/such.proto'),
      missing('no.Such'),
      missing('extension 5 of no.Such'),
      missing('no.Such'),
      {
        $case: 'allExtensionNumbersResponse',
        value: { baseTypeName: 'google.rpc.Status', extensionNumber: [] },
      },
      {
        $case: 'errorResponse',
        value: { errorCode: 3, errorMessage: 'Reflect: the request asks for nothing, expected one question' },
      },
    ]);
  });

  it('answers in v1alpha too', async () => {
    await using echo = await startEcho();
    await addReflection(echo.server);
    async function* requests() {
      yield { host: 'h', messageRequest: { $case: 'listServices' as const, value: '' } };
    }
    for await (const answer of echo.channel.client(V1alphaDefinition).serverReflectionInfo(requests())) {
      expect(answer).toMatchObject({ validHost: 'h', messageResponse: { $case: 'listServicesResponse' } });
    }
    expect.assertions(1);
  });
});
