import { readFile } from 'node:fs/promises';
import type { DescFile } from '@bufbuild/protobuf';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import {
  ServerReflectionDefinition,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../../proto/gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionDefinition as ServerReflectionV1alphaDefinition } from '../../proto/gen/grpc/reflection/v1alpha/reflection.ts';
import { DescriptorIndex } from './descriptor-index.ts';
import type { RpcServer } from './rpc-server.ts';
import type { ServiceImplementation } from './rpc-service.ts';

const DESCRIPTOR_SET = new URL('../../proto/gen/descriptors.binpb', import.meta.url);

type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;

/** What a {@link ReflectionService} is made of. */
export interface ReflectionServiceDependencies {
  readonly index: DescriptorIndex;
  /** Full names of the services that the server answers, asked for anew each time. */
  readonly serviceNames: () => readonly string[];
}

/**
 * grpc.reflection: tells tools such as grpcurl which services are here and what their messages look like. The v1
 * and v1alpha services differ in name only, and this is both.
 */
export class ReflectionService implements ServiceImplementation<typeof ServerReflectionDefinition> {
  readonly #index: DescriptorIndex;
  readonly #serviceNames: () => readonly string[];

  constructor({ index, serviceNames }: ReflectionServiceDependencies) {
    this.#index = index;
    this.#serviceNames = serviceNames;
  }

  async *serverReflectionInfo(
    requests: AsyncIterable<ServerReflectionRequest>,
  ): AsyncGenerator<ServerReflectionResponse> {
    const sent = new Set<string>();
    for await (const request of requests) {
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: this.#answer(request, sent),
      };
    }
  }

  #answer({ messageRequest: asked }: ServerReflectionRequest, sent: Set<string>): Answer {
    switch (asked?.$case) {
      case 'listServices': {
        const service = this.#serviceNames().map((name) => ({ name }));
        return { $case: 'listServicesResponse', value: { service } };
      }
      case 'fileByFilename':
        return this.#file(this.#index.fileByName(asked.value), asked.value, sent);
      case 'fileContainingSymbol':
        return this.#file(this.#index.fileBySymbol(asked.value), asked.value, sent);
      case 'fileContainingExtension': {
        const { containingType, extensionNumber } = asked.value;
        const file = this.#index.fileByExtension(containingType, extensionNumber);
        return this.#file(file, `extension ${extensionNumber} of ${containingType}`, sent);
      }
      case 'allExtensionNumbersOfType': {
        const extensionNumber = this.#index.extensionNumbers(asked.value);
        if (extensionNumber === undefined) return missing(asked.value);
        return {
          $case: 'allExtensionNumbersResponse',
          value: { baseTypeName: asked.value, extensionNumber },
        };
      }
      case undefined:
        return failure(Code.INVALID_ARGUMENT, 'Reflect: the request asks for nothing, expected one question');
    }
  }

  #file(file: DescFile | undefined, what: string, sent: Set<string>): Answer {
    if (file === undefined) return missing(what);
    // A file that is asked for by name is sent again; only what comes along with it is left out.
    sent.delete(file.name);
    const fileDescriptorProto = this.#index.serializeWithImports(file, sent);
    return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
  }
}

function missing(what: string): Answer {
  return failure(Code.NOT_FOUND, `Reflect: there is no ${what.slice(0, 256)} here`);
}

function failure(errorCode: number, errorMessage: string): Answer {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } };
}

/** Adds reflection, v1 and v1alpha, to a server, with the descriptors that `npm run generate` wrote. */
export async function addReflection(server: RpcServer): Promise<void> {
  const index = new DescriptorIndex(await readFile(DESCRIPTOR_SET));
  const reflection = new ReflectionService({ index, serviceNames: () => server.serviceNames });
  server.addService(ServerReflectionDefinition, reflection, { serverReflectionInfo: [] });
  server.addService(ServerReflectionV1alphaDefinition, reflection, { serverReflectionInfo: [] });
}
