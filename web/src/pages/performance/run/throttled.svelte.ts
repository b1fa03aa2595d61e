/* A value that changes often, at most every so many milliseconds; the last one always arrives. */
export function throttled<T>(read: () => T, ms: number): { readonly value: T } {
  let value = $state.raw<T>(read());
  let at = -Infinity;
  $effect(() => {
    const next = read();
    const left = at + ms - performance.now();
    const take = () => {
      at = performance.now();
      value = next;
    };
    if (left <= 0) return take();
    const timer = setTimeout(take, left);
    return () => clearTimeout(timer);
  });
  return {
    get value() {
      return value;
    },
  };
}
