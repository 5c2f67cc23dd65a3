import { hash } from 'node:crypto';
import { parseHexText } from '../../core/hash-words.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { LogStreamStatus, ResumableLogStreams } from '../logs/resumable-log-streams.ts';
import { Rendezvous, type RendezvousNode } from './rendezvous.ts';

/** One of several caches, as far as its logs go. */
export interface LogNode extends RendezvousNode {
  readonly logStreams: ResumableLogStreams;
}

/**
 * The log streams of several caches, each in the one its name chooses. No other one takes its place while that is away:
 * writer and readers have to meet. What is lost is live output; the result has all of it.
 */
export class ShardedLogStreams implements ResumableLogStreams {
  readonly #rendezvous: Rendezvous<LogNode>;

  constructor({ nodes }: { readonly nodes: readonly [LogNode, ...LogNode[]] }) {
    this.#rendezvous = new Rendezvous(nodes);
  }

  write(name: string, source: AsyncIterable<Uint8Array>, options?: IoOptions): Promise<void> {
    return this.#of(name).write(name, source, options);
  }

  read(name: string, offset: number, options?: IoOptions): AsyncIterable<Uint8Array> {
    return this.#of(name).read(name, offset, options);
  }

  status(name: string, options?: IoOptions): Promise<LogStreamStatus | undefined> {
    return this.#of(name).status(name, options);
  }

  #of(name: string): ResumableLogStreams {
    const key = parseHexText(hash('sha256', name, 'hex'));
    const [node] = key === undefined ? [] : this.#rendezvous.order(key);
    if (node === undefined) throw new TypeError('log streams need a cache node');
    return node.logStreams;
  }
}
