"""What a teacher is told, in each language. Everything the parsers look for in a reply is named here too."""

from __future__ import annotations

from dataclasses import dataclass

from corpora.prompt import Language

PROMPT_VERSION = "self-instruct-1"


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of one language. Demonstrations are pairs of a request and its reply."""

    series: str
    classification_series: str
    task: str
    decide: str
    yes: str
    no: str
    output_first: str
    output_first_demos: tuple[tuple[str, str], ...]
    input_first: str
    input_first_demos: tuple[tuple[str, str], ...]
    grounded: str
    text: str
    kind: str
    kinds: tuple[str, ...]  # tasks that can be set on any text
    grounded_demos: tuple[tuple[str, int, str], ...]  # text, place of its kind among `kinds`, reply


_EN = Wording(
    series=(
        "Below is the start of a list of varied tasks for an assistant. Go on with tasks 9 to 15, each on "
        "its own numbered line, each different from all the others. Write the tasks only."
    ),
    classification_series=(
        "Below is the start of a list of varied classification tasks. Go on with tasks 9 to 15, each on its "
        "own numbered line, each different from all the others. Name the possible labels where you can. "
        "Write the tasks only."
    ),
    task="Task:",
    decide=(
        "Is the task a classification task, one whose output is one of a few fixed labels? Reply Yes or No."
    ),
    yes="Yes",
    no="No",
    output_first=(
        "Make cases for a classification task. For each label write a line 'Class label: ...' and below it "
        "an input for which this label is right. Where the task needs no input, write the label alone."
    ),
    output_first_demos=(
        (
            "Decide whether the hotel review is favourable or unfavourable.",
            "Class label: favourable\nInput: The room was quiet, and the staff carried our bags upstairs.\n"
            "Class label: unfavourable\nInput: We waited an hour for a key, and then the shower was cold.",
        ),
        (
            "Say which department should read the message: billing, delivery or repairs.",
            "Class label: delivery\nInput: My parcel was due on Monday and is still not here.\n"
            "Class label: billing\nInput: You charged my card twice for one order.\n"
            "Class label: repairs\nInput: The kettle leaks since I dropped it.",
        ),
        ("Which of these is a fruit? (a) carrot (b) pear (c) onion", "Class label: (b)"),
    ),
    input_first=(
        "Make cases for a task and solve them. Where the task needs an input, write up to three numbered "
        "examples, each with its input and its output. Where it needs none, write the output alone."
    ),
    input_first_demos=(
        (
            "Rewrite the sentence in the past tense.",
            "Example 1\nInput: She walks to the station.\nOutput: She walked to the station.\n"
            "Example 2\nInput: They buy bread and eat it in the park.\n"
            "Output: They bought bread and ate it in the park.",
        ),
        (
            "Name three things to pack for a day at the beach.",
            "Output: A towel, sun cream and a bottle of water.",
        ),
        (
            "Work out what the shopping costs, and show how.",
            "Example 1\nInput: 3 apples at 40 cents each and a loaf of bread at 2 euros\n"
            "Output: 3 x 0.40 = 1.20 euros; 1.20 + 2.00 = 3.20 euros",
        ),
    ),
    grounded=(
        "Word a task of the kind named for the text, and solve it from the text alone. Write a line "
        "'Instruction: ...' and a line 'Output: ...'."
    ),
    text="Text:",
    kind="Kind of task:",
    kinds=(
        "Sum the text up in one sentence.",
        "List the main facts of the text.",
        "List the people, places and organisations that the text names.",
        "Explain in simple words what the text says.",
        "Write a short title for the text.",
        "Write a question that the text answers, and its answer.",
    ),
    grounded_demos=(
        (
            "The harbour of Brannock is guarded by a lighthouse. It was built in 1874 by the engineer Anna "
            "Kerr and is 31 metres high.",
            0,
            "Instruction: Sum up in one sentence what is said about the lighthouse of Brannock.\n"
            "Output: The harbour of Brannock has a lighthouse 31 metres high, built by Anna Kerr in 1874.",
        ),
        (
            "Two ferries cross the bay every hour in summer. A ticket costs four euros, and bicycles travel "
            "free.",
            1,
            "Instruction: List what a traveller should know about the ferries.\n"
            "Output: - Two ferries cross the bay every hour in summer.\n- A ticket costs four euros.\n"
            "- Bicycles travel free.",
        ),
    ),
)

_ZH = Wording(
    series="下面是一份任务清单的开头。请继续写出第9到第15个任务，每个任务单独一行并编号，互不重复。只写任务本身。",
    classification_series=(
        "下面是一份分类任务清单的开头。请继续写出第9到第15个分类任务，每个任务单独一行并编号，互不重复，"
        "并尽量写明可选的类别。只写任务本身。"
    ),
    task="任务：",
    decide="下面的任务是不是分类任务，即输出只能是少数几个固定类别之一？只回答“是”或“否”。",
    yes="是",
    no="否",
    output_first=(
        "请为分类任务编写例子。对每个类别，先写一行“类别：……”，再在下一行写出属于该类别的输入。"
        "如果任务不需要输入，只写类别。"
    ),
    output_first_demos=(
        (
            "判断酒店评论是好评还是差评。",
            "类别：好评\n输入：房间很安静，服务员还帮我们把行李搬上楼。\n"
            "类别：差评\n输入：等了一个小时才拿到钥匙，淋浴还没有热水。",
        ),
        (
            "判断留言应由哪个部门处理：账单、配送或维修。",
            "类别：配送\n输入：包裹本该星期一送到，现在还没有收到。\n"
            "类别：账单\n输入：同一个订单从我的卡上扣了两次款。\n类别：维修\n输入：水壶摔过以后一直漏水。",
        ),
        ("下面哪一个是水果？（甲）胡萝卜（乙）梨（丙）洋葱", "类别：（乙）"),
    ),
    input_first=(
        "请为任务编写例子并解答。如果任务需要输入，写出最多三个编号的例子，每个例子都有输入和输出。"
        "如果不需要输入，只写输出。"
    ),
    input_first_demos=(
        (
            "把句子改写成被动句。",
            "例子1\n输入：小猫打翻了花瓶。\n输出：花瓶被小猫打翻了。\n"
            "例子2\n输入：大风吹倒了院子里的树。\n输出：院子里的树被大风吹倒了。",
        ),
        ("说出去海边玩一天要带的三样东西。", "输出：毛巾、防晒霜和一瓶水。"),
        (
            "计算购物的总价，并写出步骤。",
            "例子1\n输入：3个苹果，每个2元；一袋面包8元\n输出：3×2=6元；6+8=14元",
        ),
    ),
    grounded=("请按指定的类型，根据文本出一道任务，并只根据文本作答。写一行“指令：……”，再写一行“输出：……”。"),
    text="文本：",
    kind="任务类型：",
    kinds=(
        "用一句话概括这段文本的内容。",
        "列出这段文本的主要事实。",
        "列出文本中提到的人物、地点和机构。",
        "用浅显易懂的话解释这段文本。",
        "为这段文本写一个简短的标题。",
        "根据这段文本提出一个问题并回答。",
    ),
    grounded_demos=(
        (
            "布兰诺克港有一座灯塔。它由工程师安娜·克尔于1874年建造，高31米。",
            0,
            "指令：用一句话概括布兰诺克港灯塔的情况。\n输出：布兰诺克港的灯塔高31米，由安娜·克尔于1874年建造。",
        ),
        (
            "夏季每小时有两班渡轮穿过海湾。船票四欧元一张，自行车免费。",
            1,
            "指令：列出乘坐渡轮的旅客应该知道的事。\n"
            "输出：- 夏季每小时有两班渡轮。\n- 船票四欧元一张。\n- 自行车免费。",
        ),
    ),
)

WORDING: dict[Language, Wording] = {"en": _EN, "zh": _ZH}
