import { requireRight } from '../../core/auth/require-right.ts';
import type { Right } from '../../core/caller.ts';
import type { HttpContent, HttpPutStatus, HttpRead, HttpView, HttpWrite } from './http-exchange.ts';

/** What an {@link AuthorisedHttpView} is made of. */
export interface AuthorisedHttpViewDependencies<V extends HttpView> {
  readonly inner: V;
  /** What a PUT takes. */
  readonly putRight: Right;
}

/** A view that asks for the right to read, or to put, before its parts are asked for anything. */
export class AuthorisedHttpView<V extends HttpView = HttpView> implements HttpView {
  protected readonly inner: V;
  readonly #putRight: Right;

  constructor({ inner, putRight }: AuthorisedHttpViewDependencies<V>) {
    this.inner = inner;
    this.#putRight = putRight;
  }

  async find(read: HttpRead): Promise<HttpContent | undefined> {
    this.requireRead(read);
    return this.inner.find(read);
  }

  async put(write: HttpWrite): Promise<HttpPutStatus> {
    this.requirePut(write);
    return this.inner.put(write);
  }

  protected requireRead({ caller, target }: HttpRead): void {
    requireRight(caller, ['read'], `GET /${target.kind}`);
  }

  protected requirePut({ caller, target }: HttpRead, method = 'PUT'): void {
    requireRight(caller, [this.#putRight], `${method} /${target.kind}`);
  }
}
