// Which language the page speaks.
import { Format, type Language } from '../lib/format';
import { type Words, zh } from './zh';

const KEPT = 'pilotlight-language';

class Speech {
  language = $state<Language>('zh-CN');
  words = $state.raw<Words>(zh);
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

  private async speak(language: Language): Promise<void> {
    this.words = language === 'en' ? (await import('./en')).en : zh;
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
