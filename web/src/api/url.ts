/* "/api/chats/{id}" with {id: "7"} and {limit: 5} is "/api/chats/7?limit=5". */
export type Query = Record<string, string | number | boolean | null | undefined>;

export function urlOf(pattern: string, path: Record<string, string> = {}, query: Query = {}): string {
  const url = pattern.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = path[name];
    if (!value) throw new Error(`${pattern} needs a ${name}`);
    return encodeURIComponent(value); // also the slash that the name of a model has
  });
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value != null && value !== '') asked.set(name, String(value));
  return asked.size ? `${url}?${asked}` : url;
}
