/** Whole seconds since 1970, in which the store counts uses. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
