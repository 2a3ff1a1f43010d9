// What to tell of every trouble but the first ones, in English.
import type { LinkTrouble } from '../lib/link/card-link';
import type { TroubleWords } from './zh-first-trouble';

const nothingLost = 'Your money and your gas are untouched.';
const nothingPaid = 'Nothing was paid.';
// As in en.ts, which this must not import: a first look would load one file more.
const moneySafe = 'What was paid and what is to be credited is on record. Nothing is lost, and nobody pays twice.';
const callUs = 'call your gas company and tell them the top-up number.';
const standNear = 'Stand next to the gas meter, hold the phone close to the card, and try again.';

const link: Record<LinkTrouble, TroubleWords> = {
  no_bluetooth: {
    what: 'This browser cannot connect to the meter card',
    safe: nothingLost,
    todo: 'Open this page in Chrome or Edge on an Android phone.',
  },
  bluetooth_off: {
    what: 'Bluetooth is switched off',
    safe: nothingLost,
    todo: 'Swipe down from the top of the screen, switch Bluetooth on, and try again.',
  },
  permission: {
    what: 'The browser may not use Bluetooth',
    safe: nothingLost,
    todo: 'In the phone’s Settings → Apps → your browser → Permissions, allow “Nearby devices”. On Android 11 and older, allow “Location” and switch location on.',
  },
  cancelled: {
    what: 'No meter card was chosen',
    safe: nothingLost,
    todo: 'Try again and tap your card in the list. Is the list empty? Switch location on and stand next to the meter.',
  },
  out_of_reach: { what: 'The meter card is out of reach', safe: nothingLost, todo: standNear },
  link_lost: { what: 'The connection to the meter card broke off', safe: nothingLost, todo: standNear },
  not_a_card: {
    what: 'That device is not a meter card',
    safe: nothingLost,
    todo: 'Choose again: its name begins with Pilotlight and is printed on the card.',
  },
  pairing: {
    what: 'Pairing with the meter card failed',
    safe: nothingLost,
    todo: 'When the phone asks whether to pair, tap “Pair”. If it keeps failing, remove the card in the phone’s Bluetooth settings and try again.',
  },
  link_stalled: { what: 'The meter card has not answered for a while', safe: nothingLost, todo: standNear },
  bridge_away: {
    what: 'The demo card cannot be reached',
    safe: nothingLost,
    todo: 'The demo may have stopped. Try again in a while.',
  },
  bridge_busy: {
    what: 'Somebody else is using the demo card',
    safe: nothingLost,
    todo: 'Wait a minute and try again.',
  },
};

const card: Record<string, TroubleWords> = {
  card_busy: {
    what: 'The meter card is busy',
    safe: nothingLost,
    todo: 'Another phone may be using it. Wait a minute and try again.',
  },
  card_pairing_required: {
    what: 'The meter card must be paired with this phone first',
    safe: nothingLost,
    todo: 'When the phone asks whether to pair, tap “Pair”.',
  },
  card_meter_silent: {
    what: 'The gas meter does not answer',
    safe: nothingLost,
    todo: 'Press the button on the meter to wake it, check that the card is plugged in well, and try again. If its display stays dark, change its batteries.',
  },
  card_meter_garbled: {
    what: 'The gas meter’s answer could not be read',
    safe: nothingLost,
    todo: 'Take the card out, plug it in again, and try again.',
  },
  card_meter_refused: {
    what: 'The gas meter refused this',
    safe: moneySafe,
    todo: 'Try again in a few minutes. If that does not help, ' + callUs,
  },
  card_wrong_meter: {
    what: 'This card is plugged into another gas meter',
    safe: moneySafe,
    todo: 'Choose the card of the meter that is to be topped up.',
  },
  card_storage_failed: {
    what: 'The meter card cannot store the data',
    safe: moneySafe,
    todo: 'Try again. If that does not help, the card must be replaced.',
  },
  card_other: {
    what: 'Something is wrong with the meter card',
    safe: moneySafe,
    todo: 'Try again. If that does not help, ' + callUs,
  },
};

const cloud: Record<string, TroubleWords> = {
  internal: {
    what: 'The gas company’s system has a problem',
    safe: moneySafe,
    todo: 'The fault is ours. Try again in a few minutes.',
  },
  upstream_unavailable: {
    what: 'The gas company’s system is busy',
    safe: moneySafe,
    todo: 'Wait a minute or two and try again.',
  },
  too_many_requests: { what: 'That was too often', safe: moneySafe, todo: 'Wait a minute and try again.' },
  quote_expired: {
    what: 'This price is no longer valid',
    safe: nothingPaid,
    todo: 'Top up again: the price is computed anew from the present reading.',
  },
  quote_stale: {
    what: 'The meter has a newer reading, so this price no longer holds',
    safe: nothingPaid,
    todo: 'Top up again: the price is computed anew from the present reading.',
  },
  reading_too_old: {
    what: 'The last reading of the meter is too old for a price',
    safe: nothingPaid,
    todo: 'Please read the meter once, then top up.',
  },
  tender_open: {
    what: 'Another payment for this meter is under way',
    safe: 'Only one at a time, so that nobody pays twice.',
    todo: 'Finish that one first, or wait some minutes until it is cancelled by itself.',
  },
  over_limit: { what: 'More than this meter may hold', safe: nothingPaid, todo: 'Choose less.' },
  want_not_sellable: { what: 'This amount cannot be sold', safe: nothingPaid, todo: 'Choose another amount.' },
  meter_unknown: {
    what: 'The gas company does not know this meter',
    safe: nothingPaid,
    todo: 'Check the meter number and call your gas company.',
  },
  meter_frozen: {
    what: 'This meter cannot be topped up at present',
    safe: nothingLost,
    todo: 'Its records differ from the gas company’s books and are being looked into. Call your gas company.',
  },
  meter_replaced: {
    what: 'Another meter has taken this one’s place',
    safe: 'What was left on the old meter goes to the new one.',
    todo: 'Connect to the new meter’s card to top up.',
  },
  debit_open: {
    what: 'A refund for this meter is not finished yet',
    safe: moneySafe,
    todo: 'Tap “Read meter” next to the meter; after the refund you can top up.',
  },
  books_restored: {
    what: 'The gas company must first compare its books with this meter',
    safe: moneySafe,
    todo: 'Tap “Read meter” next to the meter; then you can top up.',
  },
  nonce_not_live: { what: 'Reading took too long', safe: nothingPaid, todo: 'Read the meter once more.' },
  not_enrolled: {
    what: 'This phone may not see this meter’s data yet',
    safe: nothingLost,
    todo: 'Tap “Read meter” once next to the meter.',
  },
  message_forged: {
    what: 'The meter’s answer could not be verified',
    safe: moneySafe,
    todo: 'Read the meter again. If that does not help, ' + callUs,
  },
  message_malformed: {
    what: 'The meter’s answer could not be understood',
    safe: moneySafe,
    todo: 'Read the meter again. If that does not help, ' + callUs,
  },
  vend_unknown: {
    what: 'The gas company does not find this top-up',
    safe: moneySafe,
    todo: 'Try again. If that does not help, ' + callUs,
  },
  presentation_differs: {
    what: 'Payment was already requested in another way',
    safe: 'That request still stands.',
    todo: 'Pay in the way you chose first.',
  },
  wrong_state: {
    what: 'This top-up has already moved on',
    safe: moneySafe,
    todo: 'Tap “Go on” to see where it is now.',
  },
};

const own: Record<string, TroubleWords> = {
  distrust: {
    what: 'What arrived is not signed properly, so this phone did not use it',
    safe: 'Nothing was paid because of it. Your money is safe.',
    todo: 'Try again later. If it stays so, call your gas company.',
  },
  other_meter: {
    what: 'This card is plugged into another gas meter',
    safe: moneySafe,
    todo: 'Choose the card of the meter that is to be topped up.',
  },
  meter_refused: {
    what: 'The gas meter refused this top-up',
    safe: moneySafe,
    todo: 'Try again in a few minutes. If that does not help, ' + callUs,
  },
  card: { what: 'The card’s answer could not be read', safe: moneySafe, todo: standNear },
  unexpected: {
    what: 'This step is not needed now',
    safe: moneySafe,
    todo: 'Tap “Go on” to see where the top-up is now.',
  },
};

export const troubles: Record<string, TroubleWords> = { ...link, ...card, ...cloud, ...own };
