import { cancelled } from '../../core/error.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import type {
  ByteStreamDefinition,
  WriteRequest,
  WriteResponse,
} from '../../proto/gen/google/bytestream/bytestream.ts';

/** A WriteRequest. */
export function message(
  resourceName: string,
  writeOffset: number,
  data: Uint8Array = Buffer.alloc(0),
  finishWrite = false,
): WriteRequest {
  return { resourceName, writeOffset, data: Buffer.from(data), finishWrite };
}

/** A stream of them, sent at once. */
export async function* messages(...all: WriteRequest[]): AsyncGenerator<WriteRequest> {
  yield* all;
}

/** A write whose messages are sent one by one. */
export class OpenWrite {
  readonly #requests: WriteRequest[] = [];
  #wake = Promise.withResolvers<void>();
  #ended = false;
  readonly #controller = new AbortController();
  readonly response: Promise<WriteResponse>;

  constructor(client: ServiceClient<typeof ByteStreamDefinition>) {
    this.response = client.write(this.#messages(), { signal: this.#controller.signal });
    this.response.catch(() => undefined);
  }

  send(request: WriteRequest): void {
    this.#requests.push(request);
    this.#wake.resolve();
  }

  halfClose(): void {
    this.#ended = true;
    this.#wake.resolve();
  }

  cancel(): void {
    this.#controller.abort(cancelled('the client goes'));
    this.halfClose();
  }

  async *#messages(): AsyncGenerator<WriteRequest> {
    for (;;) {
      const request = this.#requests.shift();
      if (request !== undefined) yield request;
      else if (this.#ended) return;
      else {
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
      }
    }
  }
}
