"""Says what the Python port of libphonenumber knows of telephone numbers.

Standard input has a number a line: a plus sign and digits. The output is JSON: which of them are possible by calling
code and length, and an example of a fixed and of a mobile line in each region.
"""

import json
import sys

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult


def is_possible(text):
    for length in (1, 2, 3):
        code, national = int(text[1 : 1 + length]), text[1 + length :]
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            zeros = len(national) - len(national.lstrip("0"))
            number = PhoneNumber(
                country_code=code,
                national_number=int(national),
                italian_leading_zero=zeros > 0,
                number_of_leading_zeros=zeros,
            )
            # A number that can only be dialled within its area has another reason.
            return phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    return False


def examples():
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
            number = phonenumbers.example_number_for_type(region, kind)
            if number is not None:
                yield phonenumbers.format_number(number, PhoneNumberFormat.E164)


numbers = sys.stdin.read().split()
told = {"possible": [number for number in numbers if is_possible(number)], "examples": list(examples())}
print(json.dumps(told))
