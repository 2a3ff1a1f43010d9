// Which browser this is, where it matters for what to tell: never for what is tried.

export type BrowserKind = 'wechat' | 'alipay' | 'ios' | 'firefox' | 'other';

export function browserKind(agent: string, touchPoints: number): BrowserKind {
  if (/MicroMessenger/i.test(agent)) return 'wechat';
  if (/AlipayClient/i.test(agent)) return 'alipay';
  // An iPad says that it is a Mac.
  if (/iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && touchPoints > 1)) return 'ios';
  return /Firefox/i.test(agent) ? 'firefox' : 'other';
}
