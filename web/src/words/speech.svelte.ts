// Which language the page speaks.
import { Format, type Language } from '../lib/format';
import { type Words, zh } from './zh';

const KEPT = 'pilotlight-language';

class Speech {
  language = $state<Language>('zh-CN');
  words = $state.raw<Words>(zh);
  #zh: Words = zh;
  format = $state.raw(new Format('zh-CN'));

  /** As chosen here before, or as the browser is set. */
  async begin(): Promise<void> {
    await this.speak(kept() ?? preferred(navigator.languages));
  }

  /** Chosen by a person: remembered. */
  async choose(language: Language): Promise<void> {
    try {
      localStorage.setItem(KEPT, language);
    } catch {
      // Storage may be forbidden; then it is for this time only.
    }
    await this.speak(language);
  }

  /** Learns what to tell of every trouble: the first look needs a few of them only. */
  async learn(): Promise<void> {
    const { troubles: words } = await import('./zh-trouble');
    this.#zh = { ...zh, trouble: { ...zh.trouble, words } };
    if (this.language === 'zh-CN') this.words = this.#zh;
  }

  private async speak(language: Language): Promise<void> {
    this.words = language === 'en' ? (await import('./en')).en : this.#zh;
    this.format = new Format(language);
    this.language = language;
    document.documentElement.lang = language;
    document.title = this.words.name;
  }
}

function kept(): Language | undefined {
  try {
    const language = localStorage.getItem(KEPT);
    return language === 'zh-CN' || language === 'en' ? language : undefined;
  } catch {
    return undefined;
  }
}

/** The first of the browser's languages that the page speaks; Chinese where it speaks none. */
export function preferred(languages: readonly string[]): Language {
  const first = languages.find((one) => /^(zh|en)\b/i.test(one));
  return first?.toLowerCase().startsWith('en') ? 'en' : 'zh-CN';
}

export const speech = new Speech();
