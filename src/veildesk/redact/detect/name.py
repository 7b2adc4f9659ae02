# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Names of people after words that introduce or sign: "my name is", "Best regards", "From:".

No attempt is made at names anywhere else; the user's own list is for those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.rule import Rule, finding

__all__ = ["RULES"]

_WORD = r"(?:[A-ZÀ-ÖØ-ÞĀ-ŽА-ЯЁЄІЇҐ][\w’'-]{1,24}|[A-ZА-Я]\.)"
_NAME = rf"(?P<name>{_WORD}(?:[ ]{_WORD}){{0,3}})"
_INTRO = re.compile(
    r"(?:(?i:my (?:full )?name is|my name's|this is|mein name ist|ich hei(?:ß|ss)e|me llamo|mi nombre es|soy|меня зовут|мо[её] имя|моя фамилия|je m'appelle|mon nom est|"
    r"mi chiamo|meu nome é|me chamo|nazywam się|mijn naam is|ik heet|jag heter|mitt namn är|mene zvati|мене звати|jmenuji se|benim adım))[ ]{1,2}"
    + _NAME
)
_HAN = re.compile(
    r"(?:我叫|我是|我的名字是|姓名[:：]?|我的姓名是)[ ]?(?P<name>[\u4e00-\u9fff]{2,4})(?=[，。,.;；、！!\s]|\Z)"
)
_SIGN = re.compile(
    r"(?i:best regards|kind regards|regards|sincerely|cheers|best wishes|yours truly|yours|mit freundlichen grüßen|freundliche grüße|viele grüße|liebe grüße|beste grüße|mfg|grüße|"
    r"un saludo|saludos(?: cordiales)?|atentamente|gracias|с уважением|с наилучшими|всего доброго|спасибо|cordialement|bien à vous|cordiali saluti|atenciosamente|pozdrawiam|"
    r"met vriendelijke groet|med vänlig hälsning|з повагою|saygılarımla)[,!.]?(?:[ ]|[ ]?\r?\n(?:>[ ]?)*[ ]{0,2})(?:\r?\n[> ]{0,3})?(?:[–—-]{1,2}[ ]?)?"
    + _NAME
    + r"(?=[ \t.,!]*(?:[\r\n]|\Z))"
)
_SIGN_HAN = re.compile(
    r"(?:此致|敬礼|谢谢|祝好|顺祝商祺)[，,！!]?[ ]?\n?(?P<name>[\u4e00-\u9fff]{2,4})[ \t]*(?=\n|\Z)"
)
_HEADER = re.compile(
    r"(?:^|(?<=\n))(?:> ?)*(?i:from|to|cc|reply-to|von|an|от|кому|de|para|发件人|收件人|name|full name|имя|фио|nombre|姓名|nom|nome|author|signed-off-by)[ ]?[:：][ ]{0,2}\"?"
    r"(?P<name>" + _WORD + r"(?:[ ]" + _WORD + r"){1,3})\"?(?=[ ]?(?:<|\ue000|[\r\n]|\Z))"
)
_SURNAMES = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱林何郭罗梁宋郑谢韩唐冯董萧程曹袁邓傅沈曾彭吕苏卢蒋蔡贾丁魏薛阎潘杜戴汪姜范姚谭廖邹熊陆郝孔崔康邱秦侯邵孟段钱汤尹黎贺赖龚庞樊殷陶洪翟颜倪"
    "芦俞葛伍韦申毕聂焦柳邢岳莫辛祁耿牟詹凌靳甄裴鲍覃霍翁柯阮闵柴冉欧叶夏钟田任石金白毛江史顾龙万雷武乔施严温季章鲁張劉陳楊趙黃吳孫羅鄭謝韓馮許蘇盧蔣賈魏葉潘鐘譚鄒陸"
)
_NOT = re.compile(
    r"(?:The|This|That|There|Here|I|My|Your|We|It|Is|Not|New|Hello|Hi|Support|Team|Service|Error|Windows|Linux|Android|Chrome|Firefox|Version|Update|Wallet|Server|Veildesk|Der|Die|Das|"
    r"Ein|Eine|Los|Las|El|La|Un|Una|Это|Не|Но|Все|Your|Issue|Problem|App|Ich|Please|Bitte|Thanks|Danke|Gracias|Спасибо)",
)


def _name(match: re.Match[str], text: str) -> Iterator[Finding]:
    first = match["name"].split()[0]
    if "\u4e00" <= first[0] <= "\u9fff" and first[0] not in _SURNAMES:
        return
    if not _NOT.fullmatch(first) and not match["name"].isupper():
        yield finding(match.start("name"), match.end("name"), "NAME", "name-cue", 0.6)


def _search(text: str, start: int, end: int) -> Iterator[Finding]:
    for pattern in (_INTRO, _HAN, _SIGN, _SIGN_HAN, _HEADER):
        for match in pattern.finditer(text, start, end):
            yield from _name(match, text)


_CUES = (
    rb"name is ", rb"name's ", rb"this is ", rb"name ist ", "hei(?:ß|ss)e ".encode(), rb"me llamo ", rb"nombre es ", rb"soy ", "(?:зовут|имя|фамилия) ".encode(), rb"m'appelle ",
    rb"nom est ", rb"mi chiamo ", "nome é ".encode(), rb"me chamo ", "nazywam się ".encode(), rb"naam is ", rb"ik heet ", rb"jag heter ", "我叫|我是|名字是|姓名".encode(),
    rb"regards", rb"sincerely", rb"cheers", rb"wishes", rb"yours", "gr(?:ü|ue)(?:ß|ss)e".encode(), rb"mfg", rb"saludos?", rb"atentamente", rb"gracias", "уважением".encode(),
    "наилучшими|доброго|пасибо|повагою".encode(), rb"cordialement", rb"cordiali saluti", rb"atenciosamente", rb"pozdrawiam", rb"groet", "此致|敬礼|谢谢|祝好|商祺".encode(),
    rb"\n[> ]{0,4}(?:from|to|cc|reply-to|von|an|de|para|name|full name|nombre|nom|nome|author|signed-off-by) ?:", "(?:от|От|кому|Кому|发件人|收件人|имя|Имя|ФИО|姓名) ?(?::|：)".encode(),
)  # fmt: skip
RULES = (Rule("name-cue", _CUES, _search, back=40, ahead=120),)
