// What a native shell shows while a card is chosen; a browser has its own words for that.
import type { Language } from '../lib/format';
import type { ChooserWords } from '../lib/link/capacitor';

export const chooser: Record<Language, ChooserWords> = {
  'zh-CN': {
    scanning: '正在找蓝牙卡…',
    cancel: '取消',
    availableDevices: '请点您家的蓝牙卡',
    noDeviceFound: '没有找到蓝牙卡。请站到燃气表旁边再试一次。',
  },
  en: {
    scanning: 'Looking for cards…',
    cancel: 'Cancel',
    availableDevices: 'Tap your card',
    noDeviceFound: 'No card was found. Stand next to the meter and try again.',
  },
};
