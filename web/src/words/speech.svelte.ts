// Which language the page speaks.
import { Format, type Language } from '../lib/format';
import { type Words, zh } from './zh';

const KEPT = 'pilotlight-language';

class Speech {
  language = $state<Language>('zh-CN');
  words = $state.raw<Words>(zh);
  #tellsAll = false;
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
    this.#tellsAll = true;
    await this.speak(this.language);
  }

  private async speak(language: Language): Promise<void> {
    const words = language === 'en' ? (await import('./en')).en : zh;
    const troubles = this.#tellsAll ? await allTroubles(language) : undefined;
    this.words = troubles
      ? { ...words, trouble: { ...words.trouble, words: { ...words.trouble.words, ...troubles } } }
      : words;
    this.format = new Format(language);
    this.language = language;
    document.documentElement.lang = language;
    document.title = this.words.name;
  }
}

/** None where they cannot be fetched now: the first ones stay. */
async function allTroubles(language: Language): Promise<Words['trouble']['words'] | undefined> {
  const all = language === 'en' ? import('./en-trouble') : import('./zh-trouble');
  return (await all.catch(() => undefined))?.troubles;
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
