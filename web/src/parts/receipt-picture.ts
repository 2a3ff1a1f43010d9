// A receipt as a picture, for those who do not open files: drawn here, shared or saved.
import { save } from './save';

export interface ReceiptPicture {
  title: string;
  amount: string;
  rows: { name: string; value: string }[];
  code: string;
  codeName: string;
}

const WIDTH = 720;
const EDGE = 56;
const ROW = 52;
const FONT = "system-ui, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif";

/** By the phone's own sharing where it takes pictures, else as a download. */
export async function share(picture: ReceiptPicture): Promise<void> {
  const blob = await draw(picture);
  const name = `pilotlight-${picture.code.slice(0, 8)}.png`;
  const files = [new File([blob], name, { type: 'image/png' })];
  if (!navigator.canShare?.({ files })) return save(blob, name);
  try {
    await navigator.share({ files, title: picture.title });
  } catch (error) {
    // Whoever puts the sheet away wants no download either.
    if (!(error instanceof DOMException && error.name === 'AbortError')) save(blob, name);
  }
}

async function draw({ title, amount, rows, code, codeName }: ReceiptPicture): Promise<Blob> {
  const canvas = document.createElement('canvas');
  canvas.width = WIDTH;
  canvas.height = 300 + rows.length * ROW + 190;
  const pen = canvas.getContext('2d');
  if (!pen) throw new Error('no canvas');
  pen.fillStyle = '#ffffff';
  pen.fillRect(0, 0, WIDTH, canvas.height);
  const sky = pen.createLinearGradient(0, 0, WIDTH, 240);
  sky.addColorStop(0, '#1b62d8');
  sky.addColorStop(1, '#0a3a9a');
  pen.fillStyle = sky;
  pen.fillRect(0, 0, WIDTH, 230);

  const write = (text: string, x: number, y: number, font: string, colour: string, align: CanvasTextAlign = 'left') => {
    pen.font = `${font} ${FONT}`;
    pen.fillStyle = colour;
    pen.textAlign = align;
    pen.fillText(text, x, y, WIDTH - 2 * EDGE);
  };
  write(title, EDGE, 84, '500 30px', '#ffffff');
  write(amount, EDGE, 176, '700 76px', '#ffffff');
  let y = 300;
  for (const { name, value } of rows) {
    write(name, EDGE, y, '400 25px', '#4b5973');
    write(value, WIDTH - EDGE, y, '600 27px', '#13203a', 'right');
    pen.fillStyle = '#d5deeb';
    pen.fillRect(EDGE, y + 16, WIDTH - 2 * EDGE, 1);
    y += ROW;
  }
  write(codeName, EDGE, y + 36, '400 22px', '#4b5973');
  const [id = code, digest = ''] = code.split(' ');
  write(id, EDGE, y + 72, '500 24px', '#13203a');
  write(digest, EDGE, y + 106, '500 24px', '#13203a');
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('no picture'))), 'image/png');
  });
}
