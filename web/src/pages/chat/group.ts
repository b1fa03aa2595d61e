/* Conversations by the day they were last used. Pure. */
export interface Group<T> {
  name: string;
  items: T[];
}

const DAY_MS = 24 * 3600 * 1000;

/* `items` come newest first, and stay so. */
export function byDay<T extends { updated_at: string | null }>(items: readonly T[], now = Date.now()): Group<T>[] {
  const today = new Date(now).setHours(0, 0, 0, 0);
  const nameOf = (at: string | null) => {
    const time = at ? Date.parse(at) : NaN;
    if (Number.isNaN(time)) return 'Without a date';
    if (time >= today) return 'Today';
    if (time >= today - DAY_MS) return 'Yesterday';
    if (time >= today - 7 * DAY_MS) return 'This week';
    return 'Earlier';
  };
  const groups: Group<T>[] = [];
  for (const item of items) {
    const name = nameOf(item.updated_at);
    const group = groups.find((one) => one.name === name);
    if (group) group.items.push(item);
    else groups.push({ name, items: [item] });
  }
  return groups;
}
