import { describe, expect, it } from 'vitest';

import { CloudError } from '../lib/cloud';
import type { Problem } from '../lib/core';
import { LinkError } from '../lib/link/card-link';
import { en } from '../words/en';
import { troubles as english } from '../words/en-trouble';
import { zh } from '../words/zh';
import { troubles } from '../words/zh-trouble';
import { browserKind } from './browser';
import { codeOf, remedyOf } from './trouble';

const problem = (code: string): Problem => ({
  type: 'about:blank',
  status: 409,
  code,
  title: '',
  detail: 'what the server says',
});

describe('a trouble', () => {
  it('is known by its code', () => {
    expect(codeOf({ kind: 'card', error: new LinkError('out_of_reach') })).toBe('out_of_reach');
    expect(codeOf({ kind: 'cloud', error: new CloudError('unreachable') })).toBe('cloud_unreachable');
    expect(codeOf({ kind: 'cloud', error: new CloudError('not_now') })).toBe('cloud_not_now');
    expect(codeOf({ kind: 'cloud', error: new CloudError('refused', problem('over_limit')) })).toBe('over_limit');
    expect(codeOf({ kind: 'unapplied', why: { code: 'refused', detail: '', problem: problem('tender_open') } })).toBe(
      'tender_open',
    );
    expect(codeOf({ kind: 'unapplied', why: { code: 'distrust', detail: '' } })).toBe('distrust');
    expect(codeOf({ kind: 'unknown', error: new Error('?') })).toBe('unknown');
  });

  it('has a remedy', () => {
    expect(remedyOf({ kind: 'unapplied', why: { code: 'other_meter', detail: '' } })).toBe('other_card');
    const open = { ...problem('tender_open'), vend_id: '01' };
    expect(remedyOf({ kind: 'cloud', error: new CloudError('refused', open) })).toBe('open_vend');
    expect(remedyOf({ kind: 'cloud', error: new CloudError('refused', problem('tender_open')) })).toBe('retry');
  });

  it('is put into words, all three of them', () => {
    for (const [code, words] of Object.entries(troubles)) {
      expect(words.what && words.safe && words.todo, code).toBeTruthy();
    }
  });
});

it('knows browsers that cannot reach cards', () => {
  expect(browserKind('Mozilla/5.0 (Linux; Android 14) Chrome/126 MicroMessenger/8.0', 5)).toBe('wechat');
  expect(browserKind('Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Version/17.0 Mobile Safari/604.1', 5)).toBe('ios');
  expect(browserKind('Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari/605.1', 5)).toBe('ios');
  expect(browserKind('Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/126', 0)).toBe('other');
  expect(browserKind('Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0', 5)).toBe('firefox');
});

it('is put into words in every language alike', () => {
  expect(Object.keys({ ...en.trouble.words, ...english }).sort()).toEqual(Object.keys(troubles).sort());
  expect(Object.keys(en.trouble.words).sort()).toEqual(Object.keys(zh.trouble.words).sort());
});
