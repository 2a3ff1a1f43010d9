// What a demo says, in both languages: loaded with it only.
import { speech } from '../words/speech.svelte';

const zh = {
  label: '演示',
  text: '演示：虚拟卡，不动真钱真气',
  leave: '退出演示',
  choose: '选哪张卡？',
  chooseText: '附近有几张演示用的卡，点其中一张。',
  cancel: '取消',
};

const en: typeof zh = {
  label: 'Demo',
  text: 'Demo: virtual card, no real money or gas',
  leave: 'Leave demo',
  choose: 'Which card?',
  chooseText: 'Several demo cards are near. Tap one of them.',
  cancel: 'Cancel',
};

export const demoWords = () => (speech.language === 'en' ? en : zh);
