import type { OpaqueListed } from '../actions/opaque-entries.ts';
import { AuthorisedHttpView } from './authorised-http-view.ts';
import type { HttpFolderView, HttpRead } from './http-exchange.ts';

/** The same for a view with folders: to remove takes what to put takes. */
export class AuthorisedHttpFolderView extends AuthorisedHttpView<HttpFolderView> implements HttpFolderView {
  async remove(read: HttpRead): Promise<boolean> {
    this.requirePut(read, 'DELETE');
    return this.inner.remove(read);
  }

  list(read: HttpRead): AsyncIterable<OpaqueListed> {
    this.requireRead(read);
    return this.inner.list(read);
  }
}
