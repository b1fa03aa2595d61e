/* Facts of /api/system that not every server tells. Pure. */
export function dataFolder(system: object): string | null {
  const program = (system as Record<string, unknown>)['program'];
  for (const from of [system, program]) {
    const of = from && typeof from === 'object' ? (from as Record<string, unknown>) : {};
    for (const name of ['data_folder', 'data_dir']) if (typeof of[name] === 'string') return of[name];
  }
  return null;
}
