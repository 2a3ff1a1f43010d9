// What to tell of every trouble: what happened, what is not lost, what to do.
import type { LinkTrouble } from '../lib/link/card-link';
import { type TroubleWords, callUs, firstTroubles, moneySafe } from './zh-first-trouble';

const nothingLost = '您的钱和气量都没有受影响。';
const nothingPaid = '还没有付款，钱没有动。';
const standNear = '请站到燃气表旁边，手机贴近蓝牙卡，再试一次。';

const link: Record<LinkTrouble, TroubleWords> = {
  no_bluetooth: {
    what: '这个浏览器不能连接蓝牙卡',
    safe: nothingLost,
    todo: '请用安卓手机自带的 Chrome 或 Edge 浏览器打开本页。',
  },
  bluetooth_off: {
    what: '手机蓝牙没有打开',
    safe: nothingLost,
    todo: '请从屏幕顶部下拉，打开“蓝牙”，再试一次。',
  },
  permission: {
    what: '浏览器没有使用蓝牙的权限',
    safe: nothingLost,
    todo: '请在手机“设置 → 应用 → 浏览器 → 权限”里，允许“附近的设备”；安卓 11 及更早的手机，请允许“位置信息”，并打开定位开关。',
  },
  cancelled: {
    what: '还没有选择蓝牙卡',
    safe: nothingLost,
    todo: '再点一次，在弹出的名单里点您家的蓝牙卡。名单是空的？请打开定位开关，站到燃气表旁边。',
  },
  out_of_reach: { what: '连不上蓝牙卡', safe: nothingLost, todo: standNear },
  link_lost: { what: '和蓝牙卡的连接断了', safe: nothingLost, todo: standNear },
  not_a_card: {
    what: '选中的设备不是燃气表的蓝牙卡',
    safe: nothingLost,
    todo: '请重新选择，蓝牙卡的名字以 Pilotlight 开头，和卡上印的一样。',
  },
  pairing: {
    what: '和蓝牙卡配对没有成功',
    safe: nothingLost,
    todo: '手机问“是否配对”时，请点“配对”。不成功的话，请到手机蓝牙设置里删除这张卡，再试一次。',
  },
  link_stalled: { what: '蓝牙卡很久没有回应', safe: nothingLost, todo: standNear },
  bridge_away: { what: '连不上演示用的卡', safe: nothingLost, todo: '演示可能停了，请过一会儿再试。' },
  bridge_busy: { what: '演示用的卡正有人在用', safe: nothingLost, todo: '请等一分钟再试。' },
};

/** By codes of the card (docs/protocols/link.md). */
const card: Record<string, TroubleWords> = {
  card_busy: { what: '蓝牙卡正忙', safe: nothingLost, todo: '可能有别的手机正在使用它，请等一分钟再试。' },
  card_pairing_required: {
    what: '蓝牙卡需要先和手机配对',
    safe: nothingLost,
    todo: '手机问“是否配对”时，请点“配对”。',
  },
  card_meter_silent: {
    what: '燃气表没有回应',
    safe: nothingLost,
    todo: '请按一下燃气表上的按键把它唤醒，看看蓝牙卡有没有插好，再试一次。屏幕不亮的话，请换电池。',
  },
  card_meter_garbled: { what: '燃气表的回应读不出来', safe: nothingLost, todo: '请把蓝牙卡拔下来重新插好，再试一次。' },
  card_meter_refused: {
    what: '燃气表没有接受这次操作',
    safe: moneySafe,
    todo: '请过几分钟再试；还是不行，' + callUs,
  },
  card_wrong_meter: {
    what: '这张蓝牙卡插在别的燃气表上',
    safe: moneySafe,
    todo: '请换成要充值的那块表上的蓝牙卡。',
  },
  card_storage_failed: { what: '蓝牙卡存不下数据', safe: moneySafe, todo: '请再试一次；还是不行，需要换一张蓝牙卡。' },
  card_other: { what: '蓝牙卡出了点问题', safe: moneySafe, todo: '请再试一次；还是不行，' + callUs },
};

/** By problem codes of the servers (crates/gas-api). */
const cloud: Record<string, TroubleWords> = {
  internal: { what: '燃气公司的系统出了点问题', safe: moneySafe, todo: '问题在我们这边，请过几分钟再试。' },
  upstream_unavailable: { what: '燃气公司的系统正忙', safe: moneySafe, todo: '请等一两分钟再试。' },
  too_many_requests: { what: '操作太频繁了', safe: moneySafe, todo: '请等一分钟再试。' },
  quote_expired: {
    what: '这份报价过期了',
    safe: nothingPaid,
    todo: '请重新充值，会按现在的读数再算一次。',
  },
  quote_stale: {
    what: '燃气表有了新的读数，这份报价不能再用',
    safe: nothingPaid,
    todo: '请重新充值，会按现在的读数再算一次。',
  },
  reading_too_old: {
    what: '最近一次读数太旧了，不能按它算价',
    safe: nothingPaid,
    todo: '请到燃气表旁读一次表，再充值。',
  },
  tender_open: {
    what: '这块表有另一笔充值正在付款',
    safe: '一块表同时只能付一笔，这样不会重复付款。',
    todo: '请先完成那一笔，或等它几分钟后自动取消，再来充值。',
  },
  over_limit: { what: '超过了这块表能存的上限', safe: nothingPaid, todo: '请少充一些。' },
  want_not_sellable: { what: '这个金额或气量不能充', safe: nothingPaid, todo: '请换一个金额再试。' },
  meter_unknown: { what: '燃气公司没有登记这块表', safe: nothingPaid, todo: '请核对表号，并联系燃气公司客服。' },
  meter_frozen: {
    what: '这块表暂时不能充值',
    safe: nothingLost,
    todo: '表里的记录和燃气公司的账对不上，正在核实。请联系燃气公司客服。',
  },
  meter_replaced: {
    what: '这块表已经换成新表了',
    safe: '旧表里的余额会转到新表。',
    todo: '请连接新表的蓝牙卡来充值。',
  },
  debit_open: { what: '这块表有一笔退款还没办完', safe: moneySafe, todo: '请先在表旁点“读表”，退款办完就能充值了。' },
  books_restored: {
    what: '燃气公司要先和这块表对一次账',
    safe: moneySafe,
    todo: '请在表旁点“读表”，对完账就能充值了。',
  },
  nonce_not_live: { what: '读表的时间太久了', safe: nothingPaid, todo: '请再读一次表。' },
  not_enrolled: { what: '这部手机还没有查看这块表的权限', safe: nothingLost, todo: '请到表旁点一次“读表”。' },
  message_forged: { what: '燃气表的回答无法核实', safe: moneySafe, todo: '请再读一次表；还是不行，' + callUs },
  message_malformed: { what: '燃气表的回答看不懂', safe: moneySafe, todo: '请再读一次表；还是不行，' + callUs },
  vend_unknown: { what: '燃气公司找不到这笔充值', safe: moneySafe, todo: '请再试一次；还是不行，' + callUs },
  presentation_differs: {
    what: '这笔充值已经用另一种方式发起了付款',
    safe: '原来的付款请求仍然有效。',
    todo: '请继续用原来的方式付款。',
  },
  wrong_state: { what: '这笔充值已经往下走了', safe: moneySafe, todo: '请点“继续”，看看现在到了哪一步。' },
};

/** What this phone found itself. */
const own: Record<string, TroubleWords> = {
  distrust: {
    what: '收到的数据签名不对，本手机没有采用',
    safe: '没有按它付款，您的钱是安全的。',
    todo: '请过一会儿再试；还是这样，请联系燃气公司客服。',
  },
  other_meter: {
    what: '这张蓝牙卡插在别的燃气表上',
    safe: moneySafe,
    todo: '请换成要充值的那块表上的蓝牙卡。',
  },
  meter_refused: { what: '燃气表没有接受这次充值', safe: moneySafe, todo: '请过几分钟再试；还是不行，' + callUs },
  card: { what: '蓝牙卡的回答读不出来', safe: moneySafe, todo: standNear },
  unexpected: { what: '这一步现在用不上', safe: moneySafe, todo: '请点“继续”，看看现在到了哪一步。' },
};

export const troubles: Record<string, TroubleWords> = { ...firstTroubles, ...link, ...card, ...cloud, ...own };
