import { describe, expect, it } from 'vitest';
import { parsed, sectionsOf, settingsOf, textOf, whenOf, type Setting } from '../../src/pages/settings/schema';

const row = {
  key: 'temperature',
  type: 'number',
  nullable: true,
  minimum: 0,
  maximum: 2,
  max_bytes: null,
  choices: null,
  default: null,
  takes_effect: 'at_once',
  description: 'How freely chats choose words. null: what the model recommends.',
};
const one = (more: object): Setting => {
  const [setting] = settingsOf([{ ...row, ...more }]);
  if (!setting) throw new Error('no setting');
  return setting;
};

describe('the schema of the settings', () => {
  it('becomes fields, and what is no setting is left out', () => {
    expect(settingsOf([row, null, 3, {}, { key: 'x', type: 'spell' }])).toHaveLength(1);
    expect(one({})).toMatchObject({
      description: 'How freely chats choose words.',
      standardMeans: 'what the model recommends',
    });
  });
  it('shows a setting nobody has heard of', () => {
    const sections = sectionsOf(settingsOf([row, { ...row, key: 'new_thing' }]));
    expect(sections.map((section) => section.title)).toEqual(['Chat', 'Engine']);
  });
  it('reads what was typed, within its bounds', () => {
    expect(parsed(one({}), ' ')).toEqual({ value: null, problem: '' });
    expect(parsed(one({}), '0.5').value).toBe(0.5);
    expect(parsed(one({}), '3').problem).toMatch(/from 0 to 2/);
    expect(parsed(one({}), 'x').problem).not.toBe('');
    expect(parsed(one({ type: 'integer' }), '1.5').problem).toMatch(/whole/);
    expect(parsed(one({ type: 'choice', choices: [8, 16] }), '8').value).toBe(8);
    expect(parsed(one({ type: 'string', max_bytes: 3 }), 'éé').problem).toMatch(/too long/);
    expect(parsed(one({ type: 'boolean' }), 'true').value).toBe(true);
    expect(parsed(one({ nullable: false }), '').problem).not.toBe('');
  });
  it('says when a change takes effect', () => {
    expect(whenOf('at_once')).toBe('');
    expect(whenOf('next_start')).toMatch(/next start/);
    expect(textOf(null)).toBe('');
  });
});
