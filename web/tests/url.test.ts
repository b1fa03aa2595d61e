import { expect, it } from 'vitest';
import { urlOf } from '../src/api/url';

it('fills in the path and leaves out what is not asked', () => {
  expect(urlOf('/api/chats/{id}', { id: 'a b?' }, { limit: 5, before: null, search: '' })).toBe(
    '/api/chats/a%20b%3F?limit=5',
  );
  expect(urlOf('/v1/models/{id}', { id: 'org/name' })).toBe('/v1/models/org%2Fname');
  expect(() => urlOf('/api/chats/{id}')).toThrow('needs a id');
});
