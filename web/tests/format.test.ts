import { describe, expect, it } from 'vitest';
import * as format from '../src/api/format';

const plain = (figure: format.Figure) => figure.text.replace(/[\u00a0\u202f]/g, ' ');

describe('figures', () => {
  it('keep three digits that count, and a unit', () => {
    expect(plain(format.tokensPerSecond(41.234))).toBe('41.2 tok/s');
    expect(plain(format.tokensPerSecond(1234.5))).toBe('1 235 tok/s');
    expect(plain(format.tokensPerSecond(0))).toBe('0 tok/s');
    expect(plain(format.milliseconds(95.04))).toBe('95.0 ms');
    expect(plain(format.milliseconds(12_345))).toBe('12.3 s');
    expect(plain(format.quantity(-3.14159, '°C'))).toBe('−3.14 °C');
  });

  it('say why there is nothing', () => {
    const figure = format.percent(null, 'no GPU on this machine');
    expect(figure).toEqual({ value: '–', unit: '', text: '–', reason: 'no GPU on this machine' });
    expect(format.bytes(NaN).reason).toBe('not known');
  });

  it('use decimal bytes and never show 1000 of a unit', () => {
    expect(plain(format.bytes(0))).toBe('0 B');
    expect(plain(format.bytes(999))).toBe('999 B');
    expect(plain(format.bytes(999_600))).toBe('1.00 MB');
    expect(plain(format.bytes(43.2e9))).toBe('43.2 GB');
    expect(plain(format.bytesPerSecond(31e6))).toBe('31.0 MB/s');
  });

  it('tell long times in minutes and hours', () => {
    expect(plain(format.seconds(2.31))).toBe('2.31 s');
    expect(plain(format.roundSeconds(17.2))).toBe('18 s');
    expect(plain(format.seconds(125))).toBe('2 min 05 s');
    expect(plain(format.seconds(3600 * 3 + 7 * 60))).toBe('3 h 07 min');
    expect(plain(format.seconds(3599.6))).toBe('1 h 00 min');
  });

  it('give shares and changes their sign and sense', () => {
    expect(plain(format.percent(0.42))).toBe('42 %');
    expect(plain(format.percent(0.031))).toBe('3.1 %');
    expect(plain(format.change(12.04))).toBe('+12.0 %');
    expect(plain(format.change(-0.01))).toBe('0.0 %');
    expect(format.plusMinus(1.3, 'tok/s')).toBe('±1.30\u00a0tok/s');
    expect(format.plusMinus(null, 'tok/s')).toBe('');
  });

  it('count things', () => {
    expect(plain(format.count(1, 'token'))).toBe('1 token');
    expect(plain(format.count(12_345, 'token'))).toBe('12 345 tokens');
  });

  it('tell how long ago', () => {
    const now = Date.parse('2026-03-05T12:00:00Z');
    expect(format.ago('2026-03-05T11:59:40Z', now)).toBe('just now');
    expect(format.ago('2026-03-05T11:15:00Z', now)).toBe('45\u00a0min ago');
    expect(format.ago('2026-03-04T11:15:00Z', now)).toBe('yesterday');
    expect(format.ago(null, now)).toBe('–');
    expect(format.dateTime('nonsense').reason).toBe('not known');
  });

  it('find the reason beside a null', () => {
    expect(format.reasonOf({ power_w: null, power_w_reason: 'no counter' }, 'power_w')).toBe('no counter');
    expect(format.reasonOf(null, 'power_w')).toBeNull();
  });
});
