"""A Word document of before 2007, which no library of Python writes: written by LibreOffice, from words of our own."""

import base64
import zlib

_PACKED = (
    "eNrtWwtwVNUZ/s/dvctdskk2IbxfSxqBBhpDiBhsRhISYwiBRIGKY0E2ZEN4ZBNJLNA6LWJsbcdO0T60HbTIoENbp4M40+m0HaHOlJkOVamt1F"
    "en1KkzrTrOwlgsVrP9/v+eu9zNg+wmzCB0/53vnnP+e/7z+M9/3ndPvpR3+olnpvyd+tHnyUN9cT/5XDwFTHYCQSJD8/ri8bjDjmfoiqJPtMtt"
    "mI32MwFu8zGABfiBsUAWENBtzci1TYDygHxgHFAAjAcmABOBSTr+FLhTtT9Dny66lTrx66EQ3URRuNtpF6VDE2Ax7vRSkelLMV6qlMl/5PkrV5"
    "/26v7Pfqf/s39spu9etaTQsp6xtg35/IbYxDHbNOp4/F6xeeP2zu7Otp7QbZ3bWz9X27n17o5ItEfmhBWrmFfbuVFmAvaXICDvSyrog8VH7hre"
    "FpW9jBgxPQbUjrYDnfz9O7vO/+rFvAf30E9p+U+yuEQe4HQ//nzw2jFI9lAXddMNdC1+EdpJYeoAZxv8JbQRw2kH+OHUsu6Lsw6MwfRCp+//8d"
    "nzTe3Bnz1k0bw5z75WCt49en7m9xV6fq7Sc3SjnqfX6rm6FeA5vYtsJf/rE6IZ2l+q5fJpFmQV3UG5ibzXY2o/EzfYRV4rUaHtqFIYFbTTX1BE"
    "xUWquohoIS0tpqYGD90C1DRMoo56v7cbWF5vUHODl6L1XqsHWA9/GO/vrF8MJimknw+Xy18PtYVR1s0Ib8I8tEBWEYrGzqasOkVVsy9BfgbyKx"
    "wivzLJz0B+ys5PjTa/oWgRrQmejZ+By+2yTObbCHQbxZNn4EYp01ZpvaXF/q52ot10Y7Eqo76ZZ+NKlcl6ayXdjdZoEUmnDqswazOvE23UrfNi"
    "mTy1SNZmdXqWj8ozAokaGHIYKYRhsHYpbLkymo0yzpK8cgeRq4Z/I2TZJriT1BcrKpe8FqhysSdeR7SmkFMpFSOnasWWmDNAarB86pCPohZVJ+"
    "vT5HZkjY6ncQdjVHBwJ/mKFFafTQ0mGs5Ew02TxrIbaRrKuzTI6ZSLPayWLsz6X4rcWmX9E8S6Jr+1QCmkiHXtwQfBm0bXBsNqu5oGv1faqhtS"
    "3Jt4rVtJhUhzj6qUstWgZF14uxkpRqVsk5DSTilbAGXLEWNaZCm2mXWWKpSaPQyXZ+BlogsuFYcmiwSPchzngKoVK3Bqz/oMwccSoUR7RURrQZ"
    "pC2cctMv6U/9Q1ypBkimhm8Al1RBVJ33anwnlN1XkVUQixntexklM1oQk7ViVNR51fljpbA2yFSzmd1veuVut6iTb0Pt3HUhZqXoBWKMDwOQ/S"
    "b6kbRGPJ7c+yMy4iu0h0cVasOwctGIbtb9PW1qn7FT+7pWQzeQSRIpeKnGHYNlcnVtkxhJwBrj1evqfH2wu7oKYkbo70FZucvZJKWp0Z3uHmAU"
    "dOyLIdj/QC2I/12znJsW/R+V98TUh6/M/RvI/EcmWbRqmsFXM0eO82HZgJzNLlO+u314rsHwt/KfAj4AP/wP0j6i+cNTK6cRvvwNOp3TV4twxY"
    "CTzJo9Xagvj43dBnrEJK4YvxOoQ16EzLSsMjc9iMM0G7XhZ4FuJYH7Lp55IRa1fss2KWjsyJ5JInFlDsemNzJSF/LDhI5TEhiBynbJId/89wDw"
    "RsvjQpWm2hyopxt9gtad1Lf3mZaI8875NnrzwfkDTvVaz1+8Q2jqogynZM/M8L/4T6Ckr/gnBelGdc5UCJvZ7jUxTdL8+vy/Mb8lxFhWfYPL/j"
    "YcXsledDHhZ8WPxHPXaxgrEL1pcnfts4szVfSd0qZfC266a8dsvXUJYo/5hi1Z7QZbJQJmUY0r4X0vuhNknWSwSyrJMqjIyHEHG11qjTcPHc/j"
    "+7cY0h3omMu2lch1DrZYDAFH7c5Hi+TOzLEXviID3IktgnjQ29j/ZJ7JOGr6nBhynZB5nvx1RioduPRK7Cm5Cr8PrYdkro4hL7zYTEfhMSxrAS"
    "1piEhDUGEp5hJbqshESXBQnvsBKv+hMSr/ohYQ4rUZWVkKjKgoRvWIlDgYTEoQAkxgwrEcxJSARzIGFBwhgkvjHkUYP7zUdO7KCL0aznMZ4Jbp"
    "6wV6WyG1qNFRPPx92Ye1fC3QH3VtlQhWUddR3SSWW76F4PY4ienVru1bKitvc51cgpFaFalHILZL6AVTmvw+1VeRveLPGNLAWuKa8/lswenfxi"
    "b2q64lUsr89b8LRXPoUwa/XAtzHy/w4JtKvB9qa8RiR6REJ5Mkvu3ps3gJunJeZ4ZDElk2mGRk75pZc+zX42EkqxkdIuye5M832KqSoFfzrnV7"
    "Kce+WFV/aVTA1+9xGL5s0//3PeuZr9eF/U90TO0jDoOqsaip+hS0fvPanUipAfXT6Wf9Tdsy17L5dDNeHObeFoxSD93e+dQDcVXAg/qXfHIdf+"
    "Mde1r+VbQ9PZAsDv0xOCfZuYTPaGKWRSwmXwLrnYtHP5BdzZcN/U4X+aems7DH1s2ien5T5brspnz1oOtYB5BEXc47NvMkdK1YGRyRVAbS2uDr"
    "UiYN+q9qd9ZuKgYFBaZvFMnjot0vqt0vrsT49CH89AL60++1RkOGrUer7ctBV64DOmLFSKD/B7TXtkuVx0fcDWs9tOApehHAa9dtH3B037Zv9K"
    "JWwZFWUoQxm6CDVhr9omu9ZsuhnPc/Q3OQ+/W98oNIMXkbsOft8pNyQhIIwdtoHxNIQ3EZEYB9TT7ZC4CXv2RlqGHfxy8ArTuDItxNqgAPEjku"
    "t4OcIxkfNWhLrkjmaTnNNHEjce7Shbq9xgRGmmt8pb4S3zXudd6g3R25H5mx7/VraOnw3pHfBnUw0kelD6Mfjxjc9OOW/gUKPUpFXqOlfOqbcj"
    "Zjt9Vt4upOvFtSAVkXztEnBqJZAwyE/VUsao6CkqXM6vCZqogz5qoZmVtBq+auTF75pRj02ivTbXHUt20s+Uc3O+S9qGeDtEO1FaIu84T74tCk"
    "k5OZ2IlMrOebO8CQMtUk8nxeRTOqJK4EagAWgE9gIPA98D9gGPA/uBA8BB4DDwS+AY8AegDOvEcqABaAQOAAeB3wDPAcf89n0B/Qfm9f65d8/9"
    "A+5f6Q06RSfo3HP07FXfy8Z7trCzxlKlDeMSF8qTltcTddTHPd1AFOgB7gSS4ucl4vsTXE+lpbLJUhvrFbW28/1QtkuigLylDVhS59o8n6XANi"
    "AFxx0Ps/sUbv8AMB94CngLeIfvd4CPgT59v/Nvd3XedQfeHjLwhjvwR3fguDvwa3fg8NXW9FjqTShSy9rkwqqIwkXEHxakw4X25VsI4+I8X5JM"
    "4nsGFy/xTYWLx20bACYBc4FifZd3v7sOX3YHOt2BVnfg9itFo4Nzdwl3ovPCOlXHl4YPBiZPfuqa0ZS34JzxwDj/Kf0ldf4p3jzFyblhGeDrGn"
    "WEcuSllEd7DMfjdTwWPG3l5CknMrmty/TYvQFoAe4Bvgr8AHhU3+sm2cPX3IG7hjSOTe5AxB1Y5w7ckaYNOUdCY6bpxgvYH+sIb+pAXvZ0zev3"
    "PUH/PvP/2P5+btt9wOPAfj13O/P268CbwPtATM/hfCaUdAT3X3fgvDvwoTtw1h2IuQNvuQOn3YHX3YFX3YFT7sBLV/HCIclAHcv3hVxMsfAZQ1"
    "q4vPcSR72u6ELfcRCoocpSqmomWtps0MzDe0pCh49Xzzoc9RYCE4HP7P2mOQluEdwyxFuwd61R2sWn+QsRmltGOaWUoSuWLuX3/2xQ/b8hHkyG"
    "v0s5ZjiDeY3s/rqwS2qhLWmXP58MuRcwKbVvmhzakphMmmQXOvLFiCH5etLIn8vrnFQvcH29NhLKIUOfoaf+/T/H/5K+qq+VW9/wqOufTv6sq8"
    "e036RV8j1rh9xB75LdbFvii+MLX1AORXPJkHsEKw39c/yntf82yasVeuikjVIS+wvAVGkKGfKFQzr153sR597EtvqIfBvbLH1xW5r9T43q/x/m"
    "gJqn1x4VI2h/PgrouYRjWOb/PyPP/39vI6bW"
)


def old_word() -> bytes:
    """Headings, notes, a comment, a link, deleted and hidden words, a list, a table, a box, a header and a footer."""
    return zlib.decompress(base64.b64decode(_PACKED))
