/* Whether this server has a route: buttons for what it cannot do are not shown. Asked once. */
import { get } from '../../api/client';
import { at } from '../sound';

let paths: Promise<readonly string[]> | null = null;

export async function hasRoute(path: string): Promise<boolean> {
  paths ??= get('/openapi.json').then((description) => Object.keys(at(description, 'paths')));
  try {
    return (await paths).includes(path);
  } catch {
    paths = null; // not known now; asked again next time
    return false;
  }
}
