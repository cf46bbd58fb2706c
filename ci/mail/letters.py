"""Mails as other programs write them: made by Python's own library, each with the code that is to be read from it."""

from email.message import EmailMessage
from email.policy import SMTP

OLD = 1000


def mail(to, text=None, html=None, subject="Your account", encoding="7bit", date=None):
    letter = EmailMessage(policy=SMTP)
    letter["From"] = "Platform <support@a.test>"
    letter["To"] = to
    letter["Subject"] = subject
    if date:
        letter["Date"] = date
    if text is not None:
        letter.set_content(text, cte=encoding)
    if html is not None and text is None:
        letter.set_content(html, subtype="html", cte=encoding)
    elif html is not None:
        letter.add_alternative(html, subtype="html", cte=encoding)
    return letter.as_bytes()


def word(number):
    """A code of four letters."""
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(4))


def attached(to, text):
    letter = EmailMessage(policy=SMTP)
    letter["From"], letter["To"], letter["Subject"] = "s@a.test", to, "With an attachment"
    letter.set_content(text, cte="quoted-printable")
    letter.add_attachment(b"code: nope\n" * 200_000, maintype="application", subtype="octet-stream", filename="log")
    return letter.as_bytes()


def all_letters():
    """(the recipient, the code that is to be read or None, the mail), in the order of arrival."""
    first = "Thu, 01 Jan 1970 00:00:00 +0000"
    long = "Welcome, and thank you for your interest in all that we have to offer to you today. " * 4
    found = [
        ("plain@a.test", "plai", mail("plain@a.test", "Your code: plai\n")),
        ("base64@a.test", "base", mail("base64@a.test", "Grüße! Your code: base\n", encoding="base64")),
        ("quoted@a.test", "quot", mail("quoted@a.test", f"{long}Grüße! Your code: quot\n", encoding="quoted-printable")),
        ("html@a.test", "html", mail("html@a.test", html="<p>Your code: <b>html</b></p>", encoding="base64")),
        ("link@a.test", "link", mail("link@a.test", "Please click.", '<a href="https://a.test/?code: link">in</a>')),
        ("parts@a.test", "part", mail("parts@a.test", "Your code: part", "<p>Hello</p>", encoding="base64")),
        ("subject@a.test", "subj", mail("subject@a.test", "Hello", subject="Grüße, code: subj")),
        ("attached@a.test", "atta", attached("attached@a.test", "Your code: atta\n")),
        ("several@a.test", "seve", mail("Some One <one@a.test>, Several <several@A.test>", "code: seve")),
        ("newest@a.test", None, mail("newest@a.test", "code: olde")),
        ("newest@a.test", "newe", mail("newest@a.test", "code: newe", date=first)),
        ("exact@a.test", "exac", mail("exact@a.test", "code: exac")),
        ("not-exact@a.test", None, mail("not-exact@a.test", "code: long")),
        ("exact@a.test.b", None, mail("exact@a.test.b", "code: long")),
    ]
    found += [("many@a.test", None, mail("many@a.test", f"code: {word(number)}")) for number in range(OLD)]
    found += [("many@a.test", "many", mail("many@a.test", "code: many", date=first))]
    found += [("many@a.test", None, mail("many@a.test", "No code is in here."))]
    return found


LATE = ("late@a.test", "late", mail("late@a.test", "code: late"))
