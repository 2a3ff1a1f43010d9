// What to tell of a trouble before the words of all of them are here (zh-trouble.ts).

/** What is told of one trouble. */
export interface TroubleWords {
  what: string;
  /** What is not lost. */
  safe: string;
  todo: string;
}

export const moneySafe = '已付的钱和要充的气都记着，不会丢，也不会重复扣款。';
export const callUs = '请拨打燃气公司客服电话，并报出充值编号。';

export const firstTroubles: Record<string, TroubleWords> = {
  cloud_unreachable: {
    what: '连不上燃气公司',
    safe: moneySafe,
    todo: '请看看手机有没有网络（关掉飞行模式，打开流量或 Wi-Fi），再试一次。',
  },
  cloud_not_now: { what: '燃气公司的系统正忙', safe: moneySafe, todo: '请等一两分钟再试。' },
  unknown: { what: '出了点意外', safe: moneySafe, todo: '请再试一次；还是不行，' + callUs },
};
